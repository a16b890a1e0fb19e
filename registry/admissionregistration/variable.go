package admissionregistration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/environment"
)

// policyCompiler checks expressions that may refer to the variables of their policy.
type policyCompiler struct {
	compiler
	variables *celplugin.CompositedCompiler
}

func newPolicyCompiler(hasParams bool, stored sets.Set[string]) (*policyCompiler, error) {
	composited, err := celplugin.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	if err != nil {
		return nil, fmt.Errorf("making a compiler of expressions: %w", err)
	}
	return &policyCompiler{compiler: compiler{Compiler: composited.Compiler, hasParams: hasParams, stored: stored}, variables: composited}, nil
}

// variable checks a variable. Expressions that are checked later may refer to it.
func (c *policyCompiler) variable(v *admissionregistrationv1.Variable, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if v.Name == "" || strings.TrimSpace(v.Name) == "" {
		errs = append(errs, field.Required(at.Child("name"), "name is not specified"))
	} else if !isIdentifier(v.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), v.Name, "must be a valid CEL identifier"))
	}
	if strings.TrimSpace(v.Expression) == "" {
		return append(errs, field.Required(at.Child("expression"), "expression is not specified"))
	}
	if len(errs) > 0 {
		return errs
	}
	result := c.variables.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, c.declare(true, false), c.mode(v.Expression))
	return faults(result, at.Child("expression"))
}

var identifier = regexp.MustCompile(`^[_a-zA-Z][_a-zA-Z0-9]*$`)

// reserved are the identifiers that the specification of CEL reserves.
var reserved = []string{
	"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop",
	"package", "namespace", "return", "var", "void", "while",
}

func isIdentifier(name string) bool {
	return identifier.MatchString(name) && !slices.Contains(reserved, name)
}
