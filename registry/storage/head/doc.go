// Package head says what is known of a stored object without its schema: where it is, and the metadata by which objects
// are counted, collected, filtered and deleted. A [Head] is the same for typed and for custom resources.
//
// registry/storage makes heads from keys and stored bytes. Code that decides about objects without reading them whole works on
// heads: filters of requests, and what lists the content of a cluster.
package head
