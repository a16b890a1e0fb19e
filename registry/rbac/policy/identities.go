package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// WarrantKey is the key of the extra fields of a user that name further identities: what the user may not do, they may. Each value is a
// [user.Info] in JSON, such as {"user":"alice","groups":["dev"],"extra":{"authentication.kcp.io/scopes":["cluster:root"]}}, whose extra fields
// may have this key, too. Only system:masters can give a user such fields, by impersonation.
const WarrantKey = "authorization.kcp.io/warrant"

// mostWarrants bounds the warrants of a user, nested ones included, and longestWarrant the bytes of one. They are read several times for a request,
// and a review may have any.
const mostWarrants, longestWarrant = 16, 32 << 10

// warrant is one value of WarrantKey.
type warrant struct {
	User   string              `json:"user,omitempty"`
	UID    string              `json:"uid,omitempty"`
	Groups []string            `json:"groups,omitempty"`
	Extra  map[string][]string `json:"extra,omitempty"`
}

// Identities returns all that u is in cluster: first who [Effective] says, and then the same of each warrant. A warrant for a ServiceAccount
// counts only if it says of which cluster that is. If one warrant is malformed, none counts; [CheckWarrants] says why.
//
// No warrant is considered by [Master]: it makes nobody all-powerful.
func Identities(u user.Info, cluster logicalcluster.Name) []user.Info {
	all := []user.Info{Effective(u, cluster)}
	if len(u.GetExtra()[WarrantKey]) == 0 {
		return all
	}
	warranted, err := warrants(u, nil)
	if err != nil {
		return all
	}
	for _, w := range warranted {
		all = append(all, Effective(w, cluster))
	}
	return all
}

// CheckWarrants returns what is wrong with the warrants of u.
func CheckWarrants(u user.Info) error {
	_, err := warrants(u, nil)
	return err
}

// CheckWarrant returns what is wrong with one value of [WarrantKey].
func CheckWarrant(value string) error {
	return CheckWarrants(&user.DefaultInfo{Extra: map[string][]string{WarrantKey: {value}}})
}

// WithoutWarrants returns extra fields of a user without those that name further identities. Whoever keeps an identity for later keeps
// these: whoever gave the user a warrant gave it for one request.
func WithoutWarrants(extra map[string][]string) map[string][]string {
	if _, some := extra[WarrantKey]; !some {
		return extra
	}
	rest := make(map[string][]string, len(extra))
	for key, values := range extra {
		if key != WarrantKey {
			rest[key] = values
		}
	}
	return rest
}

// warrants adds the users that the warrants of u name to found.
func warrants(u user.Info, found []user.Info) ([]user.Info, error) {
	for _, value := range u.GetExtra()[WarrantKey] {
		if len(found) == mostWarrants {
			return nil, fmt.Errorf("%s: a user may have at most %d warrants", WarrantKey, mostWarrants)
		}
		named, err := parse(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", WarrantKey, err)
		}
		found = append(found, named)
		if found, err = warrants(named, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// parse reads one value of WarrantKey.
func parse(value string) (user.Info, error) {
	if len(value) > longestWarrant {
		return nil, fmt.Errorf("not a user of at most %d bytes", longestWarrant)
	}
	var w warrant
	decoder := json.NewDecoder(bytes.NewBufferString(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil {
		return nil, fmt.Errorf("not a user in JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a user in JSON: more follows the user")
	}
	if _, _, err := serviceaccount.SplitUsername(w.User); err == nil && len(w.Extra[ClusterNameKey]) == 0 {
		return nil, fmt.Errorf("the ServiceAccount %q needs the extra field %s", w.User, ClusterNameKey)
	}
	return &user.DefaultInfo{Name: w.User, UID: w.UID, Groups: w.Groups, Extra: w.Extra}, nil
}
