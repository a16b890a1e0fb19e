// Package policy applies the admission policies of a workspace: step 6 of docs/request.md. It has three plugins: [Plugins.Mutating] and
// [Plugins.Validating] around the dispatchers of k8s.io/apiserver, and [Plugins.Rights], which decides who may let a policy read
// parameters.
//
// Nothing runs for a workspace: there are no informers. Which policies a workspace has is kept in a view (registry/view), which costs a
// look into a map in a workspace without any. A dispatcher is a small struct, so one is made for each request, with a matcher, an authorizer
// and parameters that know the workspace of the request only. What is compiled is large, and the same for equal policies of all workspaces:
// it is kept by content (see evaluators).
package policy
