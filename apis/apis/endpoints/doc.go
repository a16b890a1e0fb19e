// Package endpoints says which endpoint of a slice, an object of any kind with status.endpoints, serves a resource with virtual storage. It is logic
// only: the controller of APIExports asks it for their condition, and server/virtual/elsewhere before it sends a request there.
//
// Anyone may import it.
package endpoints
