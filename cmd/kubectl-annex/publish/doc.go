// Package publish annotates CustomResourceDefinitions so that the server publishes them, and waits until it has done so. What the
// annotation means is in schemas/publish.
package publish
