// Package controller makes a Database and a Route for each App of all consumers, in the App's own workspace. The two APIs come from other
// providers. The consumer binds them, and accepts the claims of this export on them.
//
//	setup.go      what is watched
//	reconcile.go  one App: its parts, and its status
//	delete.go     an App that is being deleted: first the address, then the data
package controller
