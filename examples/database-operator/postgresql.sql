-- Run once in the PostgreSQL server by its administrator:
--   psql --set password=... --file postgresql.sql
-- The operator needs no superuser.
CREATE ROLE database_operator LOGIN CREATEDB CREATEROLE PASSWORD :'password';
-- PostgreSQL lets every role connect to every database unless told otherwise. The operator makes no database before this is done.
REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE postgres TO database_operator;
