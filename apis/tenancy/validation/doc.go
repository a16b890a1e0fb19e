// Package validation says which objects of tenancy.kcp.io are valid, as far as the object alone tells. What needs a look
// elsewhere - whether a type exists, who asks, what may stand where in the tree - is for admission.
package validation
