DROP TABLE publication;
DROP TABLE cursors;
DROP TABLE journal;
DROP TABLE issues;
