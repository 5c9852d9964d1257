/* Loops of sys/queue.h and jansson as cppcheck has to see them: it reads no
 * headers of libraries. */
#define TAILQ_HEAD(name, type) \
	struct name { struct type *tqh_first, **tqh_last; }
#define TAILQ_ENTRY(type) \
	struct { struct type *tqe_next, **tqe_prev; }
#define LIST_HEAD(name, type) struct name { struct type *lh_first; }
#define LIST_ENTRY(type) struct { struct type *le_next, **le_prev; }
#define TAILQ_FOREACH(v, head, field) \
	for (v = (head)->tqh_first; v; v = v->field.tqe_next)
#define TAILQ_FOREACH_REVERSE(v, head, name, field) \
	for (v = last_of(head); v; v = before(v))
#define LIST_FOREACH(v, head, field) \
	for (v = (head)->lh_first; v; v = v->field.le_next)
#define json_array_foreach(array, i, v) \
	for (i = 0; (v = json_array_get(array, i)) != 0; i++)
#define json_object_foreach(object, key, v) \
	for (key = first_key(object); (v = value_at(key)) != 0; \
	     key = next_key(object, key))
