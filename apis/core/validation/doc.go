// Package validation says which objects of core.kcp.io are valid, as far as the object alone tells. What needs a look
// elsewhere - who asks, what went before - is for admission.
package validation
