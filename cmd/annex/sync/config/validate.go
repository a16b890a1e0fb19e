package config

import (
	"encoding/json"
	"regexp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/annex/sync/path"
)

// maxPrefix leaves room for what makes the name of a namespace unique and readable.
const maxPrefix = 20

func validate(c *SyncConfiguration) field.ErrorList {
	var all field.ErrorList
	text := func(at *field.Path, value string, check func(string) []string) {
		for _, message := range check(value) {
			all = append(all, field.Invalid(at, value, message))
		}
	}
	text(field.NewPath("export"), c.Export, validation.IsDNS1123Subdomain)
	text(field.NewPath("agent"), c.Agent, isLabel)
	all = append(all, validateWorkspace(&c.Workspace, field.NewPath("workspace"))...)
	all = append(all, validateNaming(&c.Naming, field.NewPath("naming"))...)
	at := field.NewPath("resources")
	if len(c.Resources) == 0 {
		all = append(all, field.Required(at, "name at least one resource"))
	}
	sources, offered := sets.New[string](), sets.New[string]()
	for i := range c.Resources {
		r, at := &c.Resources[i], at.Index(i)
		all = append(all, validateResource(r, &c.Naming, at)...)
		// Two entries for one resource would fight over its objects.
		for name, seen := range map[string]sets.Set[string]{r.Resource + "." + r.Group: sources, r.Offered(): offered} {
			if seen.Has(name) {
				all = append(all, field.Duplicate(at, name))
			}
			seen.Insert(name)
		}
	}
	return all
}

// isLabel says what is wrong with the value of a label that must not be empty.
func isLabel(value string) []string {
	if value == "" {
		return []string{"must not be empty"}
	}
	return validation.IsValidLabelValue(value)
}

// Offered returns the resource that consumers see, such as certificates.cert-manager.io.
func (r *Resource) Offered() string {
	group, plural := r.Group, r.Resource
	if p := r.Projection; p != nil {
		if p.Group != "" {
			group = p.Group
		}
		if p.Plural != "" {
			plural = p.Plural
		}
	}
	return plural + "." + group
}

func validateWorkspace(w *Workspace, at *field.Path) field.ErrorList {
	switch given := w.Kubeconfig != "" || w.Context != ""; {
	case w.Path != "" && given:
		return field.ErrorList{field.Invalid(at, w.Path, "set either path, to reach the workspace through the service cluster, or kubeconfig and context")}
	case w.Path == "" && !given:
		return field.ErrorList{field.Required(at, "set path, to reach the workspace through the service cluster, or kubeconfig")}
	case w.Path != "":
		parsed, err := logicalcluster.ParsePath(w.Path)
		if err != nil {
			return field.ErrorList{field.Invalid(at.Child("path"), w.Path, err.Error())}
		}
		if parsed != "root" && !strings.Contains(w.Path, ":") {
			return field.ErrorList{field.Invalid(at.Child("path"), w.Path, "must be an absolute path, such as root:providers:certificates")}
		}
	}
	return nil
}

func validateNaming(n *Naming, at *field.Path) field.ErrorList {
	var all field.ErrorList
	switch n.Layout {
	case SingleNamespace:
		if n.Namespace == "" {
			all = append(all, field.Required(at.Child("namespace"), "the layout SingleNamespace needs it"))
		}
		if n.NamespacePrefix != "" {
			all = append(all, field.Forbidden(at.Child("namespacePrefix"), "the layout SingleNamespace makes no namespaces"))
		}
	case NamespacePerNamespace, NamespacePerConsumer:
		if n.Namespace != "" {
			all = append(all, field.Forbidden(at.Child("namespace"), "only for the layout SingleNamespace"))
		}
		if messages := validation.IsDNS1123Label(n.NamespacePrefix + "x"); len(messages) > 0 || len(n.NamespacePrefix) > maxPrefix {
			all = append(all, field.Invalid(at.Child("namespacePrefix"), n.NamespacePrefix, "must be the beginning of a DNS label, of at most 20 characters"))
		}
	default:
		all = append(all, field.NotSupported(at.Child("layout"), n.Layout, []Layout{NamespacePerNamespace, NamespacePerConsumer, SingleNamespace}))
	}
	all = append(all, metav1validation.ValidateLabels(n.NamespaceLabels, at.Child("namespaceLabels"))...)
	for key := range n.NamespaceLabels {
		if strings.HasPrefix(key, "sync.annex.dev/") {
			all = append(all, field.Forbidden(at.Child("namespaceLabels").Key(key), "labels of sync.annex.dev are the agent's own"))
		}
	}
	if n.Layout == SingleNamespace && len(n.NamespaceLabels) > 0 {
		all = append(all, field.Forbidden(at.Child("namespaceLabels"), "the layout SingleNamespace makes no namespaces"))
	}
	if n.Namespace != "" {
		all = append(all, names(at.Child("namespace"), n.Namespace, validation.IsDNS1123Label)...)
	}
	return all
}

func names(at *field.Path, value string, check func(string) []string) (all field.ErrorList) {
	for _, message := range check(value) {
		all = append(all, field.Invalid(at, value, message))
	}
	return all
}

func validateResource(r *Resource, naming *Naming, at *field.Path) field.ErrorList {
	all := names(at.Child("group"), r.Group, validation.IsDNS1123Subdomain)
	all = append(all, names(at.Child("resource"), r.Resource, validation.IsDNS1035Label)...)
	seen := sets.New[string]()
	for i, v := range r.Versions {
		if seen.Has(v) {
			all = append(all, field.Duplicate(at.Child("versions").Index(i), v))
		}
		seen.Insert(v)
	}
	if p := r.Projection; p != nil {
		at := at.Child("projection")
		if p.Group != "" {
			all = append(all, names(at.Child("group"), p.Group, validation.IsDNS1123Subdomain)...)
		}
		for name, value := range map[string]string{"plural": p.Plural, "singular": p.Singular, "kind": strings.ToLower(p.Kind)} {
			if value != "" {
				all = append(all, names(at.Child(name), value, validation.IsDNS1035Label)...)
			}
		}
		if p.Scope != "" && p.Scope != "Cluster" && p.Scope != "Namespaced" {
			all = append(all, field.NotSupported(at.Child("scope"), p.Scope, []string{"Cluster", "Namespaced"}))
		}
	}
	if r.Filter != nil {
		all = append(all, selector(r.Filter.Labels, at.Child("filter", "labels"))...)
		all = append(all, selector(r.Filter.Namespaces, at.Child("filter", "namespaces"))...)
	}
	all = append(all, keys(r.Metadata.Labels, at.Child("metadata", "labels"))...)
	all = append(all, keys(r.Metadata.Annotations, at.Child("metadata", "annotations"))...)
	all = append(all, rules(r.Mutation.Spec, at.Child("mutation", "spec"), false)...)
	all = append(all, rules(r.Mutation.Status, at.Child("mutation", "status"), true)...)
	ids := sets.New[string]()
	for i := range r.Related {
		at := at.Child("related").Index(i)
		if ids.Has(r.Related[i].ID) {
			all = append(all, field.Duplicate(at.Child("id"), r.Related[i].ID))
		}
		ids.Insert(r.Related[i].ID)
		all = append(all, validateRelated(&r.Related[i], naming, at)...)
	}
	return all
}

func selector(s *metav1.LabelSelector, at *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(s, metav1validation.LabelSelectorValidationOptions{}, at)
}

// reserved are prefixes of keys that are the agent's or the API servers' own.
var reserved = regexp.MustCompile(`^([^/]*\.)?(kcp\.io|annex\.dev|kubernetes\.io|k8s\.io)/`)

func keys(all []string, at *field.Path) (errs field.ErrorList) {
	for i, key := range all {
		switch {
		case reserved.MatchString(key):
			errs = append(errs, field.Forbidden(at.Index(i), "keys of kcp.io, annex.dev, kubernetes.io and k8s.io have a meaning for API servers, and are not copied"))
		case strings.HasSuffix(key, "/*"):
			errs = append(errs, names(at.Index(i), strings.TrimSuffix(key, "/*"), validation.IsDNS1123Subdomain)...)
		default:
			errs = append(errs, names(at.Index(i), key, validation.IsQualifiedName)...)
		}
	}
	return errs
}

func rules(all []Rule, at *field.Path, status bool) (errs field.ErrorList) {
	for i, r := range all {
		at := at.Index(i)
		n := 0
		check := func(name, text string) {
			n++
			p, err := path.Parse(text)
			at := at.Child(name, "path")
			switch {
			case err != nil:
				errs = append(errs, field.Invalid(at, text, err.Error()))
			case status != (p.Root() == "status"):
				errs = append(errs, field.Invalid(at, text, "paths begin with status in mutation.status, and only there"))
			case p.Root() == "metadata", p.Root() == "kind", p.Root() == "apiVersion":
				errs = append(errs, field.Invalid(at, text, "rules do not change what identifies an object"))
			}
		}
		if r.Set != nil {
			check("set", r.Set.Path)
			if r.Set.Value == nil || !json.Valid(r.Set.Value.Raw) {
				errs = append(errs, field.Required(at.Child("set", "value"), "use delete to remove a field"))
			}
		}
		if r.Delete != nil {
			check("delete", r.Delete.Path)
		}
		if r.Forbid != nil {
			check("forbid", r.Forbid.Path)
			if status {
				errs = append(errs, field.Forbidden(at.Child("forbid"), "only for the way to the service cluster"))
			}
		}
		if r.Replace != nil {
			check("replace", r.Replace.Path)
			if _, err := regexp.Compile(r.Replace.Pattern); err != nil || r.Replace.Pattern == "" {
				errs = append(errs, field.Invalid(at.Child("replace", "pattern"), r.Replace.Pattern, "must be a regular expression of Go"))
			}
		}
		if n != 1 {
			errs = append(errs, field.Invalid(at, n, "a rule has exactly one of set, delete, replace and forbid"))
		}
	}
	return errs
}

func validateRelated(r *Related, naming *Naming, at *field.Path) field.ErrorList {
	all := names(at.Child("id"), r.ID, validation.IsDNS1123Label)
	if r.Resource != "secrets" && r.Resource != "configmaps" {
		all = append(all, field.NotSupported(at.Child("resource"), r.Resource, []string{"secrets", "configmaps"}))
	}
	if r.Origin != FromService && r.Origin != FromWorkspace {
		all = append(all, field.NotSupported(at.Child("origin"), r.Origin, []Origin{FromService, FromWorkspace}))
	}
	ways := 0
	for _, is := range []bool{r.Name != "", r.Reference != "", r.Owned, r.Selector != nil && r.Name == "" && r.Reference == "" && !r.Owned} {
		if is {
			ways++
		}
	}
	if ways != 1 {
		all = append(all, field.Invalid(at, ways, "set exactly one of name, reference, owned and selector; selector may be added to name and reference"))
	}
	if r.Owned && r.Selector != nil {
		all = append(all, field.Forbidden(at.Child("selector"), "not together with owned"))
	}
	if r.Name != "" {
		if !strings.Contains(r.Name, "$(name)") {
			all = append(all, field.Invalid(at.Child("name"), r.Name, "must have $(name), or several objects would share one"))
		}
		all = append(all, names(at.Child("name"), strings.ReplaceAll(r.Name, "$(name)", "x"), validation.IsDNS1123Subdomain)...)
	}
	if r.Reference != "" {
		p, err := path.Parse(r.Reference)
		switch {
		case err != nil:
			all = append(all, field.Invalid(at.Child("reference"), r.Reference, err.Error()))
		case p.Root() == "metadata":
			all = append(all, field.Invalid(at.Child("reference"), r.Reference, "must not be in metadata"))
		case p.Root() == "status" && r.Origin == FromWorkspace:
			all = append(all, field.Invalid(at.Child("reference"), r.Reference, "the status is the operator's: only for the origin Service"))
		}
	}
	if r.Selector != nil {
		all = append(all, selector(r.Selector, at.Child("selector"))...)
		if len(r.Selector.MatchLabels) == 0 && len(r.Selector.MatchExpressions) == 0 {
			all = append(all, field.Required(at.Child("selector"), "an empty selector would select everything"))
		}
	}
	if r.Namespace != "" {
		all = append(all, names(at.Child("namespace"), r.Namespace, validation.IsDNS1123Label)...)
	}
	if r.ServiceNamespace != "" {
		all = append(all, names(at.Child("serviceNamespace"), r.ServiceNamespace, validation.IsDNS1123Label)...)
		if r.Origin != FromWorkspace {
			all = append(all, field.Forbidden(at.Child("serviceNamespace"), "only for the origin Workspace: consumers could read what others have there"))
		}
	}
	// In a namespace that consumers share, only names and references can be kept apart.
	if r.Origin == FromService && naming.Layout != NamespacePerNamespace && r.Name == "" && !inSpec(r.Reference) && !r.Owned {
		all = append(all, field.Invalid(at, string(naming.Layout), "in this layout, an object of the origin Service is found by name, by a reference in spec, or owned: consumers could read what others have"))
	}
	for i, key := range r.Keys {
		all = append(all, names(at.Child("keys").Index(i), key, validation.IsConfigMapKey)...)
	}
	return all
}

func inSpec(reference string) bool {
	p, err := path.Parse(reference)
	return err == nil && p.Root() != "status"
}
