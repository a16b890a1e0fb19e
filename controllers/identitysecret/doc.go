// Package identitysecret keeps the identities of APIExports and ClusterCachedResources in Secrets. An identity is a key in a Secret of the
// same cluster, and is known by its hash. A key that is generated here is in namespace kcp-system under the name of the object. It is kept
// after the object is deleted, so that a new object of the same name has the same identity.
package identitysecret
