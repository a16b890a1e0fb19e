// Package certificate decides who may do what with CertificateSigningRequests (step 6), apart from what RBAC says about the resource.
// Whoever approves or denies a request needs the verb approve, and whoever puts a certificate or other conditions into its status the verb
// sign, on the resource signers of certificates.k8s.io with the name of the signer, or with its domain followed by "/*". It does what the
// plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction of Kubernetes do.
package certificate
