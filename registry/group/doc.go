// Package group holds what every folder of registry/ hands to the server: the REST storage of one API group by version and
// path, beside the stores through which the server itself writes whole objects. It also says what is stored of the address of an endpoint.
package group
