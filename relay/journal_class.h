/* What a failed statement's SQLSTATE says about trying again. Pure. */
#ifndef RELAY_JOURNAL_CLASS_H
#define RELAY_JOURNAL_CLASS_H

enum journal_class {
	JOURNAL_DONE,  /* no error */
	JOURNAL_AGAIN, /* the server may take it later */
	JOURNAL_NEVER, /* it is wrong itself */
};

/* sqlstate: five characters; "": no error. PostgreSQL, appendix A. */
enum journal_class journal_classify(const char *sqlstate);

#endif
