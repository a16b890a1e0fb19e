// Package serving has the certificate that the server shows, and the CA bundle by which clients verify it. Both are live: what
// they are may change while the server runs.
//
//	given  --tls-cert-file, --tls-private-key-file, --serving-ca-file: read again when the files change            files.go
//	own    a CA in a Secret of Annex's own storage, which all replicas share; each signs a certificate for itself   own.go
//
// The Secret is annex-serving-ca in namespace kube-system of the cluster system:admin, where system:masters alone gets to. It
// holds one CA, or more while one follows another (authority.go): a new CA is published in the bundle for a month before
// anything is signed by it, and the old one stays there until it ends. Replicas that start at once create the Secret, of which
// storage takes one, and go on with that one. The key of a certificate is in memory only; a restart makes a new one.
//
// Who hands the bundle on (kubeconfig, ConfigMaps, the host's APIServices) takes it from [Bundle.Watch]. It holds certificates
// and nothing else, whatever else a file has in it. Nothing here logs a key.
package serving
