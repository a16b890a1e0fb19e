// Package validation checks which objects of core.kcp.io are valid, as far as the object alone tells. Admission
// checks what depends on other information, such as the user and the previous state.
package validation
