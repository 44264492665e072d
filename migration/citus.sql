-- Distribute the data on Citus: users everywhere, and what each of them has on one worker.
--
-- Run it once as the owner of the tables, after the first migration and in this order; the first
-- statement alone, which locks the table while it builds the index anew. Models and revisions stay
-- as they are, but that alembic.ini has to say, below `[alembic]`, that the primary key of item is
-- meant to be another one here, for `alembic check` and autogenerate:
--     unmanaged = item.pk_item
--
-- What you add for each user gets the same: a primary key that begins with its owner, listed as
-- unmanaged, and a line like the last one, with `colocate_with => 'item'`. Everything else stays
-- where the migrations run.
--
-- Citus refuses on a distributed table: what is unique without `owner_id`, identity columns, and a
-- foreign key to `item (id)`. ADD COLUMN with a key wants `citus.multi_shard_modify_mode=sequential`,
-- which the migrating URL can say: ?options=-c%20citus.multi_shard_modify_mode%3Dsequential

ALTER TABLE item DROP CONSTRAINT pk_item, ADD CONSTRAINT pk_item PRIMARY KEY (owner_id, id);

SELECT create_reference_table('"user"');

SELECT create_distributed_table('item', 'owner_id');
