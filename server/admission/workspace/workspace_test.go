package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	admissiontesting "k8s.io/apiserver/pkg/admission/testing"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/inprocess"
)

var (
	alice  = &user.DefaultInfo{Name: "alice", UID: "1", Groups: []string{"staff", "system:authenticated"}, Extra: map[string][]string{"k": {"v"}}}
	master = &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}
)

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	name, found := p[path]
	return name, found, nil
}

var known = paths{"root": "root", "root:org": "orgid", "orgid": "orgid", "root:org:team": "teamid"}

// grants lists who may use what: "user cluster/type".
type grants []string

func (g grants) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	asked := a.GetUser().GetName() + " " + cluster.String() + "/" + a.GetName()
	for _, grant := range g {
		if grant == asked && a.GetVerb() == "use" && a.GetResource() == "workspacetypes" && a.GetAPIGroup() == "tenancy.kcp.io" && a.IsResourceRequest() {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func cluster(name logicalcluster.Name, path, typeName string) *corev1alpha1.LogicalCluster {
	lc := clienttest.In(name, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	lc.Annotations[logicalcluster.PathAnnotationKey] = path
	if typeName != "" {
		lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] = typeName
	}
	return lc
}

func wsType(in logicalcluster.Name, path, name string, changes ...func(*tenancyv1alpha1.WorkspaceTypeSpec)) *tenancyv1alpha1.WorkspaceType {
	wt := clienttest.In(in, &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: name}})
	wt.Annotations[logicalcluster.PathAnnotationKey] = path
	for _, change := range changes {
		change(&wt.Spec)
	}
	return wt
}

func ref(path, name string) tenancyv1alpha1.WorkspaceTypeReference {
	return tenancyv1alpha1.WorkspaceTypeReference{Path: path, Name: tenancyv1alpha1.WorkspaceTypeName(name)}
}

func extends(path, name string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) { s.Extend.With = append(s.Extend.With, ref(path, name)) }
}

func childDefault(path, name string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) { r := ref(path, name); s.DefaultChildWorkspaceType = &r }
}

func parents(refs ...tenancyv1alpha1.WorkspaceTypeReference) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
		s.LimitAllowedParents = &tenancyv1alpha1.WorkspaceTypeSelector{Types: refs, None: len(refs) == 0}
	}
}

func children(refs ...tenancyv1alpha1.WorkspaceTypeReference) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
		s.LimitAllowedChildren = &tenancyv1alpha1.WorkspaceTypeSelector{Types: refs, None: len(refs) == 0}
	}
}

func labels(kv ...string) func(*tenancyv1alpha1.WorkspaceTypeSpec) {
	return func(s *tenancyv1alpha1.WorkspaceTypeSpec) {
		s.AdditionalWorkspaceLabels = map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			s.AdditionalWorkspaceLabels[kv[i]] = kv[i+1]
		}
	}
}

// world is a tree with root, an organization and a team in it.
func world() []client.Object {
	return []client.Object{
		cluster("root", "root", "root:root"), cluster("orgid", "root:org", "root:organization"), cluster("teamid", "root:org:team", "root:org:custom"),
		cluster("bareid", "root:bare", ""), cluster("lostid", "root:lost", "root:gone"),
		wsType("root", "root", "root", childDefault("root", "organization"), extends("root", "universal"), parents()),
		wsType("root", "root", "universal", childDefault("root", "universal"), labels("from", "universal", "base", "universal")),
		wsType("root", "root", "organization", childDefault("root", "universal"), extends("root", "universal"), parents(ref("root", "root")), children(ref("root", "universal")), labels("from", "organization")),
		wsType("root", "root", "team", extends("root", "universal"), parents(ref("root", "organization"), ref("root", "team"))),
		wsType("root", "root", "alone", parents()),
		wsType("orgid", "root:org", "custom"),
		wsType("orgid", "root:org", "universal2", extends("root", "nowhere")),
		wsType("orgid", "root:org", "egg", extends("root:org", "hen")),
		wsType("orgid", "root:org", "hen", extends("root:org", "egg")),
		wsType("orgid", "root:org", "barren", children()),
	}
}

var allOfRoot = grants{"alice root/universal", "alice root/organization", "alice root/team", "alice root/alone", "alice orgid/custom", "alice orgid/universal2",
	"alice orgid/egg", "alice orgid/hen"}

func create(ws *tenancyv1alpha1.Workspace, by user.Info) admission.Attributes {
	return attributes(ws, nil, admission.Create, by)
}

func attributes(ws, old *tenancyv1alpha1.Workspace, op admission.Operation, by user.Info) admission.Attributes {
	var before runtime.Object
	if old != nil {
		before = old
	}
	return admission.NewAttributesRecord(ws, before, tenancyv1alpha1.SchemeGroupVersion.WithKind("Workspace"), "", ws.Name,
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"), "", op, nil, false, by)
}

func admit(t *testing.T, in logicalcluster.Name, a admission.Attributes, plugin admission.Interface) error {
	t.Helper()
	ctx := logicalcluster.WithCluster(t.Context(), in)
	if mutating, ok := plugin.(admission.MutationInterface); ok {
		if err := admissiontesting.WithReinvocationTesting(t, mutating).Admit(ctx, a, nil); err != nil {
			return err
		}
	}
	if validating, ok := plugin.(admission.ValidationInterface); ok {
		return validating.Validate(ctx, a, nil)
	}
	return nil
}

func TestTypes(t *testing.T) {
	for name, tc := range map[string]struct {
		in       logicalcluster.Name
		asked    *tenancyv1alpha1.WorkspaceTypeReference
		by       user.Info
		grants   grants
		want     string // path:name, or empty
		wantText string // part of the refusal
	}{
		"default below root":               {in: "root", want: "root:organization"},
		"default below organization":       {in: "orgid", want: "root:universal"},
		"no default":                       {in: "teamid", wantText: "defaultChildWorkspaceType of workspace type root:org:custom must be set"},
		"parent without type":              {in: "bareid", wantText: "annotation internal.tenancy.kcp.io/type not found"},
		"parent of unknown type":           {in: "lostid", wantText: "root:gone of this workspace does not exist"},
		"name found here":                  {in: "orgid", asked: p(ref("", "custom")), wantText: "only allows [root:universal] child workspaces"},
		"name found above":                 {in: "teamid", asked: p(ref("", "custom")), want: "root:org:custom"},
		"name found in root":               {in: "teamid", asked: p(ref("", "universal")), want: "root:universal"},
		"path by name of the cluster":      {in: "teamid", asked: p(ref("orgid", "custom")), want: "root:org:custom"},
		"unknown name":                     {in: "root", asked: p(ref("", "nowhere")), wantText: "cannot be resolved"},
		"unknown path":                     {in: "root", asked: p(ref("root:nowhere", "universal")), wantText: "cannot be resolved"},
		"type that extends an allowed one": {in: "orgid", asked: p(ref("root", "team")), want: "root:team"},
		"team below root":                  {in: "root", asked: p(ref("root", "team")), wantText: "only allows [root:organization root:team] parent workspaces"},
		"organization in organization":     {in: "orgid", asked: p(ref("root", "organization")), wantText: "only allows [root:root] parent"},
		"no parent at all":                 {in: "root", asked: p(ref("root", "alone")), wantText: "cannot have any parent"},
		"missing base":                     {in: "teamid", asked: p(ref("root:org", "universal2")), wantText: "unable to find inherited workspace type root:nowhere"},
		"circle":                           {in: "teamid", asked: p(ref("root:org", "egg")), wantText: "circular reference"},
		"no permission":                    {in: "root", grants: grants{"alice root/organization"}, wantText: "unable to use workspace type root:universal: it cannot be resolved, or you are missing verb='use'"},
		"permission elsewhere":             {in: "root", grants: grants{"alice orgid/organization", "alice root/universal"}, wantText: "unable to use workspace type root:organization"},
		"permission without access":        {in: "teamid", asked: p(ref("root:org", "custom")), grants: grants{"alice orgid/custom"}, want: "root:org:custom"},
		"masters may use everything":       {in: "root", by: master, grants: grants{}, want: "root:organization"},
		"masters obey limits":              {in: "root", by: master, asked: p(ref("root", "team")), wantText: "only allows"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(world()...)
			by, allowed := tc.by, tc.grants
			if by == nil {
				by = alice
			}
			if allowed == nil {
				allowed = allOfRoot
			}
			plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allowed)
			ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: tenancyv1alpha1.WorkspaceSpec{Type: tc.asked}}
			err := admit(t, tc.in, create(ws, by), plugin)
			if tc.wantText != "" {
				if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tc.wantText) {
					t.Errorf("got %v, want Forbidden with %q", err, tc.wantText)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := ws.Spec.Type.Path + ":" + string(ws.Spec.Type.Name); got != tc.want {
				t.Errorf("type is %s, want %s", got, tc.want)
			}
		})
	}
}

// The answer does not tell a type that the creator may not use from one that does not exist.
func TestTypes_HiddenAndMissingLookTheSame(t *testing.T) {
	hidden := wsType("orgid", "root:org", "secret", labels("a", "b"), extends("root:org", "universal2"))
	base := wsType("orgid", "root:org", "based", extends("root:org", "secret"))
	allowed := append(grants{"alice orgid/based"}, allOfRoot...)
	for name, tc := range map[string]struct {
		in    logicalcluster.Name
		asked tenancyv1alpha1.WorkspaceTypeReference
	}{
		"by path":            {"orgid", ref("root:org", "secret")},
		"by name of cluster": {"root", ref("orgid", "secret")},
		"by name":            {"teamid", ref("", "secret")},
		"extended":           {"teamid", ref("", "based")},
	} {
		t.Run(name, func(t *testing.T) {
			var answers []string
			for _, objects := range [][]client.Object{append(world(), base, hidden), append(world(), base)} {
				fake := clienttest.NewFake(objects...)
				plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allowed)
				ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: tenancyv1alpha1.WorkspaceSpec{Type: p(tc.asked)}}
				err := admit(t, tc.in, create(ws, alice), plugin)
				if !apierrors.IsForbidden(err) {
					t.Fatalf("got %v", err)
				}
				answers = append(answers, err.Error())
			}
			if answers[0] != answers[1] {
				t.Errorf("a hidden type: %s\na missing one: %s", answers[0], answers[1])
			}
		})
	}
}

func p(r tenancyv1alpha1.WorkspaceTypeReference) *tenancyv1alpha1.WorkspaceTypeReference { return &r }

func TestTypes_ParentThatAllowsNone(t *testing.T) {
	fake := clienttest.NewFake(append(world(), cluster("barrenid", "root:barren", "root:org:barren"))...)
	plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allOfRoot)
	ws := &tenancyv1alpha1.Workspace{Spec: tenancyv1alpha1.WorkspaceSpec{Type: p(ref("root", "universal"))}}
	err := admit(t, "barrenid", create(ws, alice), plugin)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "cannot have any child") {
		t.Errorf("got %v", err)
	}
}

func TestTypes_LabelsNeverOverrideTheUsers(t *testing.T) {
	fake := clienttest.NewFake(world()...)
	plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allOfRoot)
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"base": "mine"}}}
	if err := admit(t, "root", create(ws, alice), plugin); err != nil {
		t.Fatal(err)
	}
	if ws.Labels["from"] != "organization" || ws.Labels["base"] != "mine" {
		t.Errorf("labels are %v", ws.Labels)
	}
}

func TestTypes_SecondLook(t *testing.T) {
	cached := clienttest.NewFake(cluster("root", "root", "root:root"), world()[5])
	plugin := NewTypes(&tree.Tree{Cached: cached, Live: clienttest.NewFake(world()...), Resolver: known}, allOfRoot)
	ws := &tenancyv1alpha1.Workspace{Spec: tenancyv1alpha1.WorkspaceSpec{Type: p(ref("", "organization"))}}
	if err := admit(t, "root", create(ws, alice), plugin); err != nil {
		t.Errorf("a type that was just created is not found: %v", err)
	}
}

func TestTypes_StorageThatIsAwayIsNoRefusal(t *testing.T) {
	fake := clienttest.NewFake(world()...)
	plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allOfRoot)
	fake.Intercept(func(_ string, gr schema.GroupResource, _ client.Key) error {
		if gr == tree.WorkspaceTypes {
			return apierrors.NewServiceUnavailable("etcd is away")
		}
		return nil
	})
	err := admit(t, "root", create(&tenancyv1alpha1.Workspace{}, alice), plugin)
	if apierrors.IsForbidden(err) || !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v", err)
	}
}

func TestTypes_NothingNewInAWorkspaceOnItsWayOut(t *testing.T) {
	org := cluster("orgid", "root:org", "root:organization")
	org.DeletionTimestamp = &metav1.Time{}
	fake := clienttest.NewFake(append(world()[5:], org)...)
	plugin := NewTypes(&tree.Tree{Cached: fake, Live: fake, Resolver: known}, allOfRoot)
	if err := admit(t, "orgid", create(&tenancyv1alpha1.Workspace{}, alice), plugin); !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
}

func owning(objects ...client.Object) admission.Interface {
	fake := clienttest.NewFake(objects...)
	return NewOwnership(&tree.Tree{Cached: fake, Live: fake, Resolver: known},
		func(parent logicalcluster.Name, name string) string {
			return "https://host/clusters/" + parent.String() + ":" + name
		})
}

func TestOwnership_Create(t *testing.T) {
	guarded := cluster("orgid", "root:org", "root:organization")
	guarded.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = "staff"
	plugin := owning(cluster("root", "root", "root:root"), guarded)
	forged := func() *tenancyv1alpha1.Workspace {
		return &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{
			tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"somebody else"}`,
			corev1alpha1.RequiredGroupsAnnotationKey:                "nobody",
			tenancyv1alpha1.WorkspaceClusterAnnotationKey:           "root",
			"kept": "yes",
		}}}
	}

	ws := forged()
	if err := admit(t, "root", create(ws, alice), plugin); err != nil {
		t.Fatal(err)
	}
	var owner authenticationv1.UserInfo
	if err := json.Unmarshal([]byte(ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]), &owner); err != nil {
		t.Fatal(err)
	}
	if owner.Username != "alice" || owner.UID != "1" || len(owner.Groups) != 2 || owner.Extra["k"][0] != "v" {
		t.Errorf("owner is %+v", owner)
	}
	if _, has := ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey]; has || ws.Annotations[tenancyv1alpha1.WorkspaceClusterAnnotationKey] != "" || ws.Annotations["kept"] != "yes" {
		t.Errorf("annotations are %v", ws.Annotations)
	}

	// The account of the same name in the new workspace must not be its owner.
	ws = forged()
	robot := &user.DefaultInfo{Name: "system:serviceaccount:default:robot", UID: "2", Groups: []string{"system:serviceaccounts"}}
	if err := admit(t, "orgid", create(ws, robot), plugin); err != nil {
		t.Fatal(err)
	}
	owner = authenticationv1.UserInfo{}
	if err := json.Unmarshal([]byte(ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]), &owner); err != nil {
		t.Fatal(err)
	}
	if owner.Username != "system:kcp:serviceaccount:orgid:default:robot" || owner.UID != "2" || slices.Contains(owner.Groups, "system:serviceaccounts") {
		t.Errorf("owner is %+v", owner)
	}

	ws = forged()
	if err := admit(t, "orgid", create(ws, alice), plugin); err != nil {
		t.Fatal(err)
	}
	if got := ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey]; got != "staff" {
		t.Errorf("required groups are %q", got)
	}

	ws = forged()
	if err := admit(t, "orgid", create(ws, master), plugin); err != nil {
		t.Fatal(err)
	}
	if ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] != "nobody" {
		t.Error("masters cannot set the required groups")
	}
}

// What the server creates for somebody lets in nobody whom its parent keeps out.
func TestOwnership_RequiredGroupsOfWhatTheServerCreates(t *testing.T) {
	guarded := cluster("orgid", "root:org", "root:organization")
	guarded.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = "staff"
	plugin := owning(cluster("root", "root", "root:root"), guarded)
	impostor := &user.DefaultInfo{Name: inprocess.UserName, Groups: []string{"system:authenticated"}}
	for name, tc := range map[string]struct {
		parent      logicalcluster.Name
		by          user.Info
		asked, want string
	}{
		"the server":                      {"orgid", inprocess.Itself(), "", "staff"},
		"the server, with other groups":   {"orgid", inprocess.Itself(), "everybody", "staff"},
		"the server, in a free workspace": {"root", inprocess.Itself(), "", ""},
		"a user by the server's name":     {"orgid", impostor, "everybody", "staff"},
		"another master":                  {"orgid", master, "", ""},
		"another master, with groups":     {"orgid", master, "others", "others"},
	} {
		t.Run(name, func(t *testing.T) {
			ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{"annex.dev/workspaceclaim": "{}"}}}
			if tc.asked != "" {
				ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = tc.asked
			}
			given := ws.Annotations
			if err := admit(t, tc.parent, create(ws, tc.by), plugin); err != nil {
				t.Fatal(err)
			}
			if got := ws.Annotations[corev1alpha1.RequiredGroupsAnnotationKey]; got != tc.want {
				t.Errorf("required groups are %q, want %q", got, tc.want)
			}
			if got := given[corev1alpha1.RequiredGroupsAnnotationKey]; got != tc.asked {
				t.Errorf("the map of the caller has %q now", got)
			}
		})
	}
	// An update by the server does not add them later: they are inherited at creation only.
	old := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
	ws := old.DeepCopy()
	if err := admit(t, "orgid", attributes(ws, old, admission.Update, inprocess.Itself()), plugin); err != nil || len(ws.Annotations) != 0 {
		t.Errorf("after an update: %v, %v", ws.Annotations, err)
	}
	// Without a LogicalCluster nobody knows what it requires.
	if err := admit(t, "nowhere", create(&tenancyv1alpha1.Workspace{}, inprocess.Itself()), plugin); !apierrors.IsForbidden(err) {
		t.Errorf("below a cluster that does not exist: %v", err)
	}
}

// A HostBinding binds its export only in workspaces that were made for it, so nobody may say that of another one.
func TestOwnership_HostBindingIsNotForUsers(t *testing.T) {
	plugin := owning(cluster("root", "root", "root:root"))
	marked := func(binding string) *tenancyv1alpha1.Workspace {
		ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
		if binding != "" {
			ws.Annotations = map[string]string{annexv1alpha1.HostBindingAnnotationKey: binding}
		}
		return ws
	}
	for name, tc := range map[string]struct {
		a    admission.Attributes
		want string
	}{
		"create":            {create(marked("widgets"), alice), ""},
		"mark later":        {attributes(marked("widgets"), marked(""), admission.Update, alice), ""},
		"change":            {attributes(marked("others"), marked("widgets"), admission.Update, alice), "widgets"},
		"remove":            {attributes(marked(""), marked("widgets"), admission.Update, alice), "widgets"},
		"mark as a server":  {attributes(marked("widgets"), marked(""), admission.Update, inprocess.Itself()), "widgets"},
		"remove by masters": {attributes(marked(""), marked("widgets"), admission.Update, master), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if err := admit(t, "root", tc.a, plugin); err != nil {
				t.Fatal(err)
			}
			if got := tc.a.GetObject().(*tenancyv1alpha1.Workspace).Annotations[annexv1alpha1.HostBindingAnnotationKey]; got != tc.want {
				t.Errorf("it is made for %q, want %q", got, tc.want)
			}
		})
	}
}

func TestOwnership_PlaceIsNotForUsers(t *testing.T) {
	plugin := owning(cluster("root", "root", "root:root"))
	placed := func(cluster, url string) *tenancyv1alpha1.Workspace {
		return &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Spec: tenancyv1alpha1.WorkspaceSpec{Cluster: cluster, URL: url}}
	}
	const shown = "https://host/clusters/root:new"
	for name, tc := range map[string]struct {
		a       admission.Attributes
		refused bool
	}{
		"create":                              {create(placed("", ""), alice), false},
		"create with cluster":                 {create(placed("root", ""), alice), true},
		"create with URL":                     {create(placed("", shown), alice), true},
		"create with both by masters":         {create(placed("root", shown), master), false},
		"update":                              {attributes(placed("id", ""), placed("id", ""), admission.Update, alice), false},
		"update that sends back what it read": {attributes(placed("id", shown), placed("id", ""), admission.Update, alice), false},
		"update of the URL":                   {attributes(placed("id", "https://evil"), placed("id", ""), admission.Update, alice), true},
		"update of the cluster":               {attributes(placed("other", ""), placed("id", ""), admission.Update, alice), true},
		"URL of a workspace without a place":  {attributes(placed("", shown), placed("", ""), admission.Update, alice), true},
		"removal of the cluster":              {attributes(placed("", ""), placed("id", ""), admission.Update, alice), true},
	} {
		t.Run(name, func(t *testing.T) {
			err := admit(t, "root", tc.a, plugin)
			if tc.refused && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "can only be changed by system privileged users")) {
				t.Errorf("got %v, want a refusal", err)
			}
			if !tc.refused && err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOwnership_UpdateKeepsWhatTheSystemWrote(t *testing.T) {
	plugin := owning(cluster("root", "root", "root:root"))
	old := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{
		tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"alice"}`,
	}}}
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{
		tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"mallory"}`,
		corev1alpha1.RequiredGroupsAnnotationKey:                "none",
	}}}
	if err := admit(t, "root", attributes(ws, old, admission.Update, alice), plugin); err != nil {
		t.Fatal(err)
	}
	if len(ws.Annotations) != 1 || ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey] != `{"username":"alice"}` {
		t.Errorf("annotations are %v", ws.Annotations)
	}
}

func TestPlugins_NeedACluster(t *testing.T) {
	plugin := owning()
	err := plugin.(admission.MutationInterface).Admit(t.Context(), create(&tenancyv1alpha1.Workspace{}, alice), nil)
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
