// Package serving provides the serving certificate of the server, and the CA bundle that clients verify it with. Both may change while
// the server runs.
//
//	given  --tls-cert-file, --tls-private-key-file, --serving-ca-file: read again when the files change            files.go
//	own    a CA in a Secret of Annex's own storage, which all replicas share; each signs a certificate for itself   own.go
//
// The Secret is annex-serving-ca in namespace kube-system of the cluster system:admin, which only system:masters can read.
// It contains one CA, or several while a new CA replaces an old one (authority.go): a new CA is in the bundle for a month before it
// signs anything, and the old one stays in the bundle until it expires. If several replicas start at the same time, each tries to
// create the Secret. One of them succeeds, and all use its Secret. The key of a certificate is only in memory; a restart makes a new
// certificate.
//
// Code that publishes the bundle (kubeconfig, ConfigMaps, the host's APIServices) gets it from [Bundle.Watch]. The bundle contains only
// certificates, even if a file contains something else. Nothing here logs a key.
package serving
