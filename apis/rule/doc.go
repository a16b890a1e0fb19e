// Package rule holds the checks of single fields that the validation of several of our API groups shares: names, paths,
// addresses, selectors, conditions, and the refusal of what is not there yet. Each returns the faults with the path of the
// field, and nothing for a field that is fine. For the validation packages of apis and for admission.
package rule
