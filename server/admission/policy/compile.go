package policy

import (
	"context"
	"crypto/sha256"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var (
	validatingPolicies = admissionregistrationv1.Resource("validatingadmissionpolicies")
	validatingBindings = admissionregistrationv1.Resource("validatingadmissionpolicybindings")
	mutatingPolicies   = admissionregistrationv1.Resource("mutatingadmissionpolicies")
	mutatingBindings   = admissionregistrationv1.Resource("mutatingadmissionpolicybindings")
)

// Followed returns the resources that policies come from.
func Followed() []schema.GroupResource {
	return []schema.GroupResource{validatingPolicies, validatingBindings, mutatingPolicies, mutatingBindings}
}

// What parts of policies take in bytes, in addition to the objects, which belong to the watch cache.
const (
	policiesBytes = 256
	boundBytes    = 256
)

// policies are the policies of one workspace that are bound, by name.
type policies struct {
	validating []bound[admissionregistrationv1.ValidatingAdmissionPolicy, admissionregistrationv1.ValidatingAdmissionPolicyBinding]
	mutating   []bound[admissionregistrationv1.MutatingAdmissionPolicy, admissionregistrationv1.MutatingAdmissionPolicyBinding]
	bytes      int64
}

// bound is a policy with its bindings.
type bound[P, B any] struct {
	policy   *P
	bindings []*B
	content  content
}

// content names what is compiled of a policy.
type content [sha256.Size]byte

func (p *policies) size() int64 {
	if p == nil {
		return 0
	}
	return p.bytes
}

// compile reads the policies of cluster; nil if none is bound.
func compile(ctx context.Context, from client.Reader, cluster logicalcluster.Name) (*policies, error) {
	p := &policies{bytes: policiesBytes}
	var err error
	p.validating, err = bind(ctx, from, cluster, validatingPolicies, validatingBindings,
		func(b *admissionregistrationv1.ValidatingAdmissionPolicyBinding) string { return b.Spec.PolicyName },
		func(p *admissionregistrationv1.ValidatingAdmissionPolicy) (string, marshaler) { return p.Name, &p.Spec })
	if err != nil {
		return nil, err
	}
	p.mutating, err = bind(ctx, from, cluster, mutatingPolicies, mutatingBindings,
		func(b *admissionregistrationv1.MutatingAdmissionPolicyBinding) string { return b.Spec.PolicyName },
		func(p *admissionregistrationv1.MutatingAdmissionPolicy) (string, marshaler) { return p.Name, &p.Spec })
	if err != nil {
		return nil, err
	}
	if len(p.validating)+len(p.mutating) == 0 {
		return nil, nil
	}
	for _, b := range p.validating {
		p.bytes += boundBytes + int64(b.policy.Size()) + boundBytes*int64(len(b.bindings))
	}
	for _, b := range p.mutating {
		p.bytes += boundBytes + int64(b.policy.Size()) + boundBytes*int64(len(b.bindings))
	}
	return p, nil
}

type marshaler interface{ Marshal() ([]byte, error) }

// bind returns the policies of cluster that have bindings.
func bind[P, B any](ctx context.Context, from client.Reader, cluster logicalcluster.Name, policies, bindings schema.GroupResource,
	policyOf func(*B) string, specOf func(*P) (string, marshaler)) ([]bound[P, B], error) {
	all, err := client.List[B](ctx, from, bindings, client.Scope{Cluster: cluster})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	byPolicy := map[string][]*B{}
	for _, b := range all {
		byPolicy[policyOf(b)] = append(byPolicy[policyOf(b)], b)
	}
	given, err := client.List[P](ctx, from, policies, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	var found []bound[P, B]
	for _, p := range given {
		name, spec := specOf(p)
		if len(byPolicy[name]) == 0 {
			continue
		}
		data, err := spec.Marshal()
		if err != nil {
			return nil, fmt.Errorf("reading %s %q of cluster %q: %w", policies, name, cluster, err)
		}
		// The name is part of what is compiled, because metrics and messages have it.
		found = append(found, bound[P, B]{policy: p, bindings: byPolicy[name], content: sha256.Sum256(append([]byte(policies.Resource+"\x00"+name+"\x00"), data...))})
	}
	return found, nil
}
