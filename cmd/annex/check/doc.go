// Package check implements `annex check`. It checks an installation from the outside: it asks the API server of the host cluster for
// each group version that Annex serves there.
//
// It needs the rights of any authenticated user, which include reading discovery. It also checks APIServices if the user may read
// them. It changes nothing. [Once] checks one time. [Until] repeats the check until there is no fault.
package check
