package v1alpha2

import "encoding/json"

// flatClaim is AcceptablePermissionClaim without embedded types.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type flatClaim struct {
	Group           string                         `json:"group"`
	Resource        string                         `json:"resource"`
	Verbs           []string                       `json:"verbs"`
	IdentityHash    string                         `json:"identityHash,omitempty"`
	DefaultSelector *PermissionClaimSelector       `json:"defaultSelector,omitempty"`
	Selector        PermissionClaimSelector        `json:"selector"`
	State           AcceptablePermissionClaimState `json:"state"`
}

// MarshalJSON implements json.Marshaler. It writes what the fields say by themselves. Without it, server-side apply reads the fields by
// reflection, and sigs.k8s.io/structured-merge-diff confuses those that are embedded three levels deep (value/reflectcache.go appends
// to a path that several fields share): the group would be read as the resource.
func (in AcceptablePermissionClaim) MarshalJSON() ([]byte, error) {
	return json.Marshal(flatClaim{
		Group: in.Group, Resource: in.Resource, Verbs: in.Verbs, IdentityHash: in.IdentityHash,
		DefaultSelector: in.DefaultSelector, Selector: in.Selector, State: in.State,
	})
}
