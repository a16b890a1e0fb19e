package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// ClaimedLabelPrefix is the prefix of the keys of labels on objects that an APIExport has a claim on.
const ClaimedLabelPrefix = "claimed.internal.apis.kcp.io/"

const (
	keyBytes         = 32
	bindingSuffixLen = 5
)

// NewKey returns a new identity: 256 random bits as 64 hexadecimal digits, fit for the data of a Secret.
func NewKey() []byte {
	b := make([]byte, keyBytes)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return []byte(hex.EncodeToString(b))
}

// Hash returns the identity hash of a key: its SHA-256 in lower-case hexadecimal. The Secret contains the key under "key".
func Hash(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

// ExportLabelValue returns the value of label internal.apis.kcp.io/export on bindings to this export, at most 38
// letters and digits. cluster is the logical cluster of the export.
func ExportLabelValue(cluster logicalcluster.Name, export string) string {
	return base62Sum(cluster.String() + ":" + export)
}

// BindingsTo selects the bindings to this export, by the label that the server sets on them.
func BindingsTo(cluster logicalcluster.Name, export string) labels.Selector {
	return labels.SelectorFromSet(labels.Set{apisv1alpha2.InternalAPIBindingExportLabelKey: ExportLabelValue(cluster, export)})
}

// ClaimedLabelKey returns the key of the label on objects that this export has a claim on.
func ClaimedLabelKey(cluster logicalcluster.Name, export string) string {
	return ClaimedLabelPrefix + ExportLabelValue(cluster, export)
}

// ClaimLabelValue returns the value of that label for a claim. Verbs and the default selector do not count.
func ClaimLabelValue(claim apisv1alpha2.ScopedPermissionClaim) (string, error) {
	claim.Verbs, claim.DefaultSelector = nil, nil
	raw, err := json.Marshal(claim)
	if err != nil {
		return "", fmt.Errorf("hashing the claim on %s.%s: %w", claim.Resource, claim.Group, err)
	}
	return base62Sum(string(raw)), nil
}

// DefaultBindingName returns the name of the binding that is made in cluster for a default binding to export in path: the
// name of the export, cut if necessary, and five characters that distinguish bindings to exports of the same name.
func DefaultBindingName(cluster logicalcluster.Name, path logicalcluster.Path, export string) string {
	suffix := strings.ToLower(base62Sum(fmt.Sprintf("%s|%s|%s", cluster, path, export))[:bindingSuffixLen])
	if most := validation.DNS1123SubdomainMaxLength - len(suffix) - 1; len(export) > most {
		export = strings.TrimRight(export[:most], ".-")
	}
	return export + "-" + suffix
}

// base62Sum returns the SHA-224 of s as a number in base 62, digits before lower before upper case.
func base62Sum(s string) string {
	sum := sha256.Sum224([]byte(s))
	return new(big.Int).SetBytes(sum[:]).Text(62)
}
