package claiming

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

const (
	// maxName is how long the name of a workspace may be, and hashed how many characters of it are the hash.
	maxName, hashed = 63, 12
)

// Ref is the identity of a claim.
type Ref struct {
	// Cluster is the logical cluster of the claim: the host workspace.
	Cluster logicalcluster.Name `json:"cluster"`
	// Class is the name of the WorkspaceClass.
	Class string `json:"class"`
	// Namespace and NamespaceUID are those of the host.
	Namespace    string `json:"namespace"`
	NamespaceUID string `json:"namespaceUID"`
	Name         string `json:"name"`
	// User is the name of the user who created the claim; empty for an administrator of the server.
	User string `json:"user,omitempty"`
}

// RefOf returns the identity of a claim. The error says what the server has not recorded in it.
func RefOf(claim *annexv1alpha1.WorkspaceClaim) (Ref, error) {
	ref := Ref{
		Cluster: logicalcluster.From(claim),
		Class:   claim.Spec.WorkspaceClassName, Namespace: claim.Namespace, Name: claim.Name,
		NamespaceUID: claim.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey],
	}
	if ref.NamespaceUID == "" {
		return Ref{}, errors.New("the claim has no record of its namespace")
	}
	owner, err := Owner(claim)
	if err != nil {
		return Ref{}, err
	}
	if owner != nil {
		ref.User = owner.Username
	}
	return ref, nil
}

// Owner returns the user who created a claim; nil if that was an administrator of the server.
func Owner(claim *annexv1alpha1.WorkspaceClaim) (*authenticationv1.UserInfo, error) {
	note, recorded := claim.Annotations[annexv1alpha1.ClaimOwnerAnnotationKey]
	if !recorded {
		return nil, nil
	}
	owner := &authenticationv1.UserInfo{}
	if err := json.Unmarshal([]byte(note), owner); err != nil {
		return nil, fmt.Errorf("reading the user who created the claim: %w", err)
	}
	if owner.Username == "" {
		return nil, errors.New("the claim has a user without a name")
	}
	return owner, nil
}

// String returns the value of the annotation.
func (r Ref) String() string {
	value, err := json.Marshal(r)
	if err != nil {
		return "" // a struct of texts can always be encoded
	}
	return string(value)
}

// ParseRef returns the identity that an annotation contains; false if it contains none.
func ParseRef(value string) (Ref, bool) {
	var ref Ref
	if json.Unmarshal([]byte(value), &ref) != nil {
		return Ref{}, false
	}
	return ref, !ref.Cluster.Empty() && ref.Class != "" && ref.Namespace != "" && ref.NamespaceUID != "" && ref.Name != ""
}

// WorkspaceName returns the name of the workspace for a claim, such as team-a-app-0a1b2c3d4e5f. The end is a hash, because a-b/c and a/b-c
// would have the same name without it. The user is not part of it: a claim of the same name by another user finds the workspace, which
// belongs to the first user, and waits.
func (r Ref) WorkspaceName() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Class, r.Namespace, r.NamespaceUID, r.Name}, "\x00")))
	readable := strings.ReplaceAll(r.Namespace+"-"+r.Name, ".", "-")
	if longest := maxName - hashed - 1; len(readable) > longest {
		readable = readable[:longest]
	}
	return strings.TrimRight(readable, "-") + "-" + hex.EncodeToString(sum[:])[:hashed]
}
