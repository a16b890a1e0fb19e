// Package clientgo runs what controllers are made of against a workspace, unmodified: the informers, caches, leader election, pager,
// event recorders and mappers of client-go. Some of its servers are killed while the clients work.
package clientgo
