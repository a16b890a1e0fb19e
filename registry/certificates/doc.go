// Package certificates is the REST storage of certificates.k8s.io (step 6): CertificateSigningRequests, with their subresources approval
// and status. Behavior follows Kubernetes, with limits for what it costs to check a request; see request.go.
//
// Nothing in the server signs: a certificate of the server's own authority would be valid in every workspace. Whoever may use the verb
// sign on the signer of a request, which server/admission/certificate checks, puts a certificate into its status. Only server imports this
// package.
package certificates
