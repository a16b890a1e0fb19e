// Package rule holds the checks of single fields that the validation of several of our API groups shares: names, paths,
// addresses, selectors, conditions, and the refusal of unsupported features. Each returns the faults with the path of the
// field, and nothing for a valid field. The validation packages of apis and admission use it.
package rule
