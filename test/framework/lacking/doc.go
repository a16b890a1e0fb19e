// Package lacking serves etcd's API without all that etcd can do: a server of gRPC in front of a real etcd that refuses, leaves out or
// delays what a test says. Other stores that speak the API, proxies and old versions behave so.
package lacking
