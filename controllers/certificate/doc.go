// Package certificate deletes CertificateSigningRequests that are done or that nobody has answered, as Kubernetes does: an hour after
// a certificate was issued or a request was denied or failed, a day after a request was created or approved without an answer, and when the
// certificate has expired. Once an hour it finds the clusters that have requests by the heads of all, and then looks into them one after
// the other. It keeps nothing between two looks.
package certificate
