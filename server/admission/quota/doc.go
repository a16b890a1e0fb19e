// Package quota refuses creations that exceed a ResourceQuota if they are dry runs, which store nothing. All others are refused when they
// are stored, by the transaction that counts them (registry/storage/owners): so whatever creates an object, and however many servers do
// at once, a quota is never exceeded, and a creation that fails has used nothing.
//
// The plugin of k8s.io/apiserver (pkg/admission/plugin/resourcequota) is not used. It knows quotas by namespace only, where two workspaces
// have a namespace of the same name; it needs informers for everything that is counted; and it writes what is used into the status of
// a quota before the object is stored, so that a creation that fails later has used something until somebody counts.
package quota
