package scaffold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Project is what the templates know about an operator.
type Project struct {
	// Name is the name of the program, the chart, the Lease and the ServiceAccount.
	Name string
	// Group is the API group.
	Group string
	// Version is the version of the API, Kind and Plural are the names of its resource.
	Version, Kind, Plural string
	// Module is the path of the Go module.
	Module string
	// ClientVersion is the version of the module github.com/annex-dev/annex/client.
	ClientVersion string
	// Replace is the absolute path of a checkout of Annex to use in place of a release; empty for a release.
	Replace string
	// ReplaceFrom is what set Replace, for messages: a flag or a variable of the environment.
	ReplaceFrom string
}

var (
	kindExp    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	versionExp = regexp.MustCompile(`^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$`)
	moduleExp  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)
	// releaseExp matches versions that a module can have. What git describes between two releases is none.
	releaseExp = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)\.?[0-9]+|-[0-9]{14}-[0-9a-f]{12})?$`)
	// reservedGroups are not for APIs of others, and neither are the groups below them.
	reservedGroups = []string{"k8s.io", "kubernetes.io", "kcp.io", "annex.dev"}
	// reservedKinds are other names in the package of the types.
	reservedKinds = []string{"AddToScheme", "GroupVersion", "ConditionReady"}
)

const (
	// longest leaves room for what is added to a name in the names of objects.
	longest = 40
	// unreleased is the version of the client module that is required when a checkout replaces it.
	unreleased = "v0.0.0"
)

// Complete fills in what was not said. binary is the version of the program that writes the project.
func (p *Project) Complete(binary string) {
	if p.Version == "" {
		p.Version = "v1alpha1"
	}
	if p.Kind == "" {
		for part := range strings.SplitSeq(strings.TrimSuffix(p.Name, "-operator"), "-") {
			if part != "" {
				p.Kind += strings.ToUpper(part[:1]) + part[1:]
			}
		}
	}
	if p.Plural == "" {
		plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: p.Kind})
		p.Plural = plural.Resource
	}
	if p.Module == "" {
		p.Module = p.Group + "/" + p.Name
	}
	switch {
	case p.ClientVersion != "":
	case p.Replace != "":
		p.ClientVersion = unreleased
	default:
		p.ClientVersion = binary
	}
}

// Validate returns all faults.
func (p *Project) Validate() error {
	var faults []error
	fault := func(what, value, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s %q: "+format, append([]any{what, value}, args...)...))
	}
	if wrong := validation.IsDNS1035Label(p.Name); len(wrong) > 0 {
		fault("NAME", p.Name, "%s", wrong[0])
	} else if len(p.Name) > longest {
		fault("NAME", p.Name, "must have at most %d characters", longest)
	}
	if wrong := validation.IsDNS1123Subdomain(p.Group); len(wrong) > 0 {
		fault("--domain", p.Group, "%s", wrong[0])
	} else if !strings.Contains(p.Group, ".") {
		fault("--domain", p.Group, "must have at least two parts, such as shop.example.com: it is the group of the API")
	}
	for _, reserved := range reservedGroups {
		if p.Group == reserved || strings.HasSuffix(p.Group, "."+reserved) {
			fault("--domain", p.Group, "%s is reserved: use a domain of your own", reserved)
		}
	}
	if !versionExp.MatchString(p.Version) {
		fault("--api-version", p.Version, "must be a version such as v1alpha1, v1beta2 or v1")
	}
	if !kindExp.MatchString(p.Kind) || len(p.Kind) > 63 {
		fault("--kind", p.Kind, "must begin with an upper-case letter and have only letters and digits, at most 63")
	}
	for _, reserved := range reservedKinds {
		if p.Kind == reserved {
			fault("--kind", p.Kind, "the Go package of the types needs this name")
		}
	}
	if wrong := validation.IsDNS1035Label(p.Plural); len(wrong) > 0 {
		fault("--plural", p.Plural, "%s", wrong[0])
	}
	if !moduleExp.MatchString(p.Module) {
		fault("--module", p.Module, "must be the path of a Go module, such as example.com/%s", p.Name)
	}
	if p.Replace != "" {
		if !filepath.IsAbs(p.Replace) || strings.ContainsAny(p.Replace, " \t\n\"`") {
			fault(p.ReplaceFrom, p.Replace, "must be an absolute path without spaces and quotes")
		} else if _, err := os.Stat(filepath.Join(p.Replace, "client", "go.mod")); err != nil {
			fault(p.ReplaceFrom, p.Replace, "is not a checkout of Annex: %w", err)
		}
	}
	if p.Replace == "" && !releaseExp.MatchString(p.ClientVersion) {
		fault("--client-version", p.ClientVersion, "is not the version of a release, such as v0.1.0. Set it, or set --replace or the variable ANNEX_SOURCE to a checkout of Annex")
	} else if p.Replace != "" && !releaseExp.MatchString(p.ClientVersion) {
		fault("--client-version", p.ClientVersion, "is not a version such as v0.1.0")
	}
	return errors.Join(faults...)
}

// Singular returns the singular of the resource.
func (p *Project) Singular() string { return strings.ToLower(p.Kind) }

// Export returns the name of the APIExport.
func (p *Project) Export() string { return p.Plural }

// Namespace returns the namespace on the host cluster that the chart is meant for.
func (p *Project) Namespace() string { return p.Name + "-system" }

// User returns who the operator is in workspaces when it runs on the host cluster.
func (p *Project) User() string { return "host:serviceaccount:" + p.Namespace() + ":" + p.Name }
