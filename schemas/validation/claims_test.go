package validation

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

type (
	exportClaim = apisv1alpha2.PermissionClaim
	answer      = apisv1alpha2.AcceptablePermissionClaim
)

func claimOn(group, resource string, change ...func(*exportClaim)) exportClaim {
	c := exportClaim{GroupResource: apisv1alpha2.GroupResource{Group: group, Resource: resource}, Verbs: []string{"get", "list"}}
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestValidateAPIExport_Claims(t *testing.T) {
	verbs := func(v ...string) func(*exportClaim) { return func(c *exportClaim) { c.Verbs = v } }
	identity := func(hash string) func(*exportClaim) { return func(c *exportClaim) { c.IdentityHash = hash } }
	selector := func(s apisv1alpha2.PermissionClaimSelector) func(*exportClaim) {
		return func(c *exportClaim) { c.DefaultSelector = &s }
	}
	for name, tc := range map[string]struct {
		claims []exportClaim
		want   []string
	}{
		"resources of every workspace": {[]exportClaim{claimOn("", "secrets"), claimOn("rbac.authorization.k8s.io", "roles", verbs("*")), claimOn("authorization.k8s.io", "subjectaccessreviews", verbs("create"))}, nil},
		"of another export":            {[]exportClaim{claimOn("example.com", "gadgets", identity("0a1b"))}, nil},
		"of another, without identity": {[]exportClaim{claimOn("example.com", "gadgets")}, []string{"spec.permissionClaims[0].identityHash: Required"}},
		"what cannot be claimed":       {[]exportClaim{claimOn("", "limitranges")}, []string{"permissionClaims[0].identityHash: Required"}},
		"reviews of oneself":           {[]exportClaim{claimOn("authorization.k8s.io", "selfsubjectaccessreviews")}, []string{"permissionClaims[0].identityHash: Required"}},
		"of the group itself":          {[]exportClaim{claimOn("apis.kcp.io", "apiconversions")}, nil},
		"an identity in vain":          {[]exportClaim{claimOn("", "secrets", identity("0a"))}, []string{"permissionClaims[0].identityHash: Invalid"}},
		"an identity that is a path":   {[]exportClaim{claimOn("example.com", "gadgets", identity("a/b"))}, []string{"permissionClaims[0].identityHash: Invalid"}},
		"unknown to the group":         {[]exportClaim{claimOn("apis.kcp.io", "things")}, []string{"permissionClaims[0].resource: Invalid"}},
		"what it offers itself":        {[]exportClaim{claimOn("example.com", "widgets", identity("0a"))}, []string{"permissionClaims[0]: Invalid"}},
		"the same twice":               {[]exportClaim{claimOn("", "secrets"), claimOn("", "secrets")}, []string{"permissionClaims[1]: Duplicate"}},
		"no resource":                  {[]exportClaim{claimOn("", "")}, []string{"permissionClaims[0].resource: Required"}},
		"bad resource":                 {[]exportClaim{claimOn("", "Secrets")}, []string{"permissionClaims[0].resource: Invalid", "identityHash: Required"}},
		"bad group":                    {[]exportClaim{claimOn("Example", "gadgets", identity("0a"))}, []string{"permissionClaims[0].group: Invalid"}},
		"no verbs":                     {[]exportClaim{claimOn("", "secrets", verbs())}, []string{"permissionClaims[0].verbs: Required"}},
		"a verb twice":                 {[]exportClaim{claimOn("", "secrets", verbs("get", "get"))}, []string{"permissionClaims[0].verbs[1]: Duplicate"}},
		"bad verb":                     {[]exportClaim{claimOn("", "secrets", verbs("Get"))}, []string{"permissionClaims[0].verbs[0]: Invalid"}},
		"default selector":             {[]exportClaim{claimOn("", "secrets", selector(apisv1alpha2.PermissionClaimSelector{MatchAll: true}))}, nil},
		"empty default selector":       {[]exportClaim{claimOn("", "secrets", selector(apisv1alpha2.PermissionClaimSelector{}))}, []string{"permissionClaims[0].defaultSelector: Invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := &apisv1alpha2.APIExport{
				ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"},
				Spec: apisv1alpha2.APIExportSpec{PermissionClaims: tc.claims, Resources: []apisv1alpha2.ResourceSchema{{
					Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com", Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
				}}},
			}
			check(t, ValidateAPIExport(e), tc.want...)
			check(t, ValidateAPIExportUpdate(e, e), tc.want...)
		})
	}
}

func accepts(c exportClaim, change ...func(*answer)) answer {
	a := answer{ScopedPermissionClaim: apisv1alpha2.ScopedPermissionClaim{PermissionClaim: c, Selector: apisv1alpha2.PermissionClaimSelector{MatchAll: true}}, State: apisv1alpha2.ClaimAccepted}
	for _, f := range change {
		f(&a)
	}
	return a
}

func selecting(s apisv1alpha2.PermissionClaimSelector) func(*answer) {
	return func(a *answer) { a.Selector = s }
}

func labeled() apisv1alpha2.PermissionClaimSelector {
	return apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
}

func bindingThat(answers ...answer) *apisv1alpha2.APIBinding {
	return &apisv1alpha2.APIBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"},
		Spec:       apisv1alpha2.APIBindingSpec{Reference: apisv1alpha2.BindingReference{Export: &apisv1alpha2.ExportBindingReference{Name: "widgets"}}, PermissionClaims: answers},
	}
}

func TestValidateAPIBinding_Claims(t *testing.T) {
	secrets := claimOn("", "secrets")
	both := labeled()
	both.MatchAll = true
	bad := apisv1alpha2.PermissionClaimSelector{LabelSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}
	for name, tc := range map[string]struct {
		answers []answer
		want    []string
	}{
		"accepted":                       {[]answer{accepts(secrets)}, nil},
		"rejected":                       {[]answer{accepts(secrets, func(a *answer) { a.State = apisv1alpha2.ClaimRejected })}, nil},
		"labels":                         {[]answer{accepts(secrets, selecting(labeled()))}, nil},
		"two identities of one resource": {[]answer{accepts(claimOn("x.com", "gadgets", func(c *exportClaim) { c.IdentityHash = "0a" })), accepts(claimOn("x.com", "gadgets", func(c *exportClaim) { c.IdentityHash = "0b" }))}, nil},
		"no state":                       {[]answer{accepts(secrets, func(a *answer) { a.State = "" })}, []string{"permissionClaims[0].state: Required"}},
		"unknown state":                  {[]answer{accepts(secrets, func(a *answer) { a.State = "Perhaps" })}, []string{"permissionClaims[0].state: Unsupported"}},
		"no selector":                    {[]answer{accepts(secrets, selecting(apisv1alpha2.PermissionClaimSelector{}))}, []string{"permissionClaims[0].selector: Invalid"}},
		"all and some":                   {[]answer{accepts(secrets, selecting(both))}, []string{"permissionClaims[0].selector: Invalid"}},
		"bad operator":                   {[]answer{accepts(secrets, selecting(bad))}, []string{"selector.matchExpressions[0].operator"}},
		"twice":                          {[]answer{accepts(secrets), accepts(secrets)}, []string{"permissionClaims[1]: Duplicate"}},
		"default selector":               {[]answer{accepts(secrets, func(a *answer) { a.DefaultSelector = &a.Selector })}, []string{"permissionClaims[0].defaultSelector: Forbidden"}},
	} {
		t.Run(name, func(t *testing.T) { check(t, ValidateAPIBinding(bindingThat(tc.answers...)), tc.want...) })
	}
	before := bindingThat(accepts(secrets))
	check(t, ValidateAPIBindingUpdate(bindingThat(accepts(secrets, selecting(labeled()))), before), "permissionClaims[0].selector: Invalid")
	check(t, ValidateAPIBindingUpdate(bindingThat(), before))
	check(t, ValidateAPIBindingUpdate(bindingThat(accepts(claimOn("", "configmaps"), selecting(labeled())), accepts(secrets)), before))
}

// In v1alpha1 a claim is for all objects or for some, and says which.
func TestValidate_OlderClaims(t *testing.T) {
	for name, tc := range map[string]struct {
		claim apisv1alpha1.PermissionClaim
		want  []string
	}{
		"all":     {apisv1alpha1.PermissionClaim{All: true}, nil},
		"some":    {apisv1alpha1.PermissionClaim{ResourceSelector: []apisv1alpha1.ResourceSelector{{Name: "a"}}}, nil},
		"neither": {apisv1alpha1.PermissionClaim{}, []string{"spec.permissionClaims[0]: Invalid"}},
		"both":    {apisv1alpha1.PermissionClaim{All: true, ResourceSelector: []apisv1alpha1.ResourceSelector{{Name: "a"}}}, []string{"spec.permissionClaims[0]: Invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.claim.Resource = "secrets"
			older := &apisv1alpha1.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}, Spec: apisv1alpha1.APIExportSpec{PermissionClaims: []apisv1alpha1.PermissionClaim{tc.claim}}}
			export := &apisv1alpha2.APIExport{}
			if err := apisv1alpha1.Convert_v1alpha1_APIExport_To_v1alpha2_APIExport(older, export, nil); err != nil {
				t.Fatal(err)
			}
			check(t, ValidateAPIExport(export), tc.want...)
		})
	}
}
