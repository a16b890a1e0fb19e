// Package apichange makes APIChangeReports: what would break if other APIResourceSchemas replaced those of an APIExport.
//
//	controller.go   begins, continues and ends reports
//	subject.go      what a report is about: the APIExport, its new schemas, their checkers, and the consumers
//	check.go        reads and checks the objects of one consumer after another
//	result.go       what was found, bounded
//
// A report reads objects as they are stored, so only one consumer at a time is in memory, and looks only at the resources of the APIExport that are
// stored under its identity: that is what the provider sees at its endpoint. What a report says of an object are its name and the fields that do
// not fit, never values.
//
// Reports take turns: each is checked for a moment, then the next one. Few are checked at once, one for each workspace; the others wait. Nothing of
// an unfinished report is stored but counts, so that after a restart it begins again. A report that takes longer than an hour fails.
package apichange
