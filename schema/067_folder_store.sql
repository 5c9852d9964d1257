-- M8: the folder that recordings are kept in has a mark with this id. A folder
-- without it is not mounted, and says nothing about recordings.
CREATE TABLE folder_store (
    is_one boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    id uuid NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
