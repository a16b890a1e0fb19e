// Package storagemigration is the controller of APIStorageMigrations: it rewrites objects that are stored in another version than the current one.
//
//	controller.go  begins, continues and ends migrations
//	subject.go     what a migration is about: the resource, its current version, and who serves it where
//	consumer.go    one workspace: find objects, rewrite them, and take the old versions off the object that serves the resource
//	result.go      what was done so far, bounded
//
// A workspace is done when its APIBinding, or its CustomResourceDefinition, does not list other versions any more. No object may be stored in one of
// them then, also not by a server that has not seen the current schema yet. The steps, in this order, see to that:
//
//  1. rewrite what is stored in another version. Others may still write in one.
//  2. read the object that serves the resource. It must have the current schema.
//  3. retire the other versions ([client.Content].Retire): writes in them fail from now on, as long as that object stays as it was read.
//  4. look at all objects once more. What is stored in another version came before step 3: back to step 1.
//  5. write the object of step 2 without the other versions. If it has changed since, that is a conflict: back to step 2. Writes in a version
//     that it does not list fail.
//
// A consumer that does not have the schema that the APIExport names is left alone, for example because it waits for its wave: objects that are written
// through the next schema would lose fields in the previous one. What is rewritten stays so, whatever becomes of the migration. So nothing but
// counts is stored of one that is under way, and after a restart it begins again.
//
// Few migrations are under way at once, one for each workspace, and all of them together write at a bounded rate. A consumer cannot hold up others: after
// some failures, the rest of it is left alone. A migration that takes longer than an hour of work fails.
package storagemigration
