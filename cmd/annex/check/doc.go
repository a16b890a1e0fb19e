// Package check looks at an installation from the outside, as `annex check` does: it asks the API server of the host cluster
// for each group version that Annex serves there.
//
// It needs the rights of any authenticated user, which may read discovery; APIServices are looked at where that is allowed.
// Nothing is changed. [Once] looks one time, [Until] again and again until all is well.
package check
