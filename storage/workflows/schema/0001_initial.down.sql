DROP TABLE tasks;
DROP TABLE history;
DROP TABLE instances;
DROP TABLE meta;
