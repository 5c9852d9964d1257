/* What a failed statement's SQLSTATE says about trying again. Pure. */
#ifndef RELAY_DB_RETRY_CLASS_H
#define RELAY_DB_RETRY_CLASS_H

enum db_retry_class {
	DB_RETRY_DONE,  /* no error */
	DB_RETRY_AGAIN, /* the server may take it later */
	DB_RETRY_NEVER, /* it is wrong itself */
};

/* sqlstate: five characters; "": no error. PostgreSQL, appendix A. */
enum db_retry_class db_retry_classify(const char *sqlstate);

#endif
