// Package hostbinding is the controller of HostBindings. It sets their status, and registers their group versions with the host.
//
// Every server uses the status to serve requests of the host: the export, the identity, and the group versions of the HostBinding. The
// status is written before the registration, so that the group versions are served when the host checks them. A group version that has
// another owner on the host, or that another HostBinding has, is a conflict. It is never taken over, and is registered when the other
// one is gone.
package hostbinding
