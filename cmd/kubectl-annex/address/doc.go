// Package address reads what users type to name a workspace: the grammar of `kubectl annex ws`. It asks no server.
package address
