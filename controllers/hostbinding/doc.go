// Package hostbinding says in the status of HostBindings what they project, and has it registered with the host.
//
// The status is what every server goes by when it serves requests of the host: export, identity, and the group versions that
// are the HostBinding's. Those are written down before they are registered, so that the host finds them served. A group version
// that somebody else serves on the host, or that another HostBinding has, is a conflict and is never taken over; it is
// registered once the other has gone.
package hostbinding
