package admissionregistration

import (
	"strings"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celplugin "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// maxConditions is how many match conditions a webhook or a policy may have.
const maxConditions = 64

// plain compiles expressions without variables of a policy. Making one takes milliseconds and most of a megabyte.
var plain = sync.OnceValue(func() celplugin.Compiler {
	return celplugin.NewCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
})

// compiler checks the expressions of one object.
type compiler struct {
	celplugin.Compiler
	hasParams bool
	// stored are the expressions that the object had before, to which newer rules do not apply.
	stored sets.Set[string]
}

// newCompiler returns a compiler of expressions that know no variables of a policy.
func newCompiler(hasParams bool, stored sets.Set[string]) *compiler {
	return &compiler{Compiler: plain(), hasParams: hasParams, stored: stored}
}

// mode returns by which rules an expression is compiled.
func (c *compiler) mode(expression string) environment.Type {
	if c.stored.Has(expression) {
		return environment.StoredExpressions
	}
	return environment.NewExpressions
}

// declare returns what an expression knows.
func (c *compiler) declare(authorizer, patches bool) celplugin.OptionalVariableDeclarations {
	return celplugin.OptionalVariableDeclarations{HasParams: c.hasParams, HasAuthorizer: authorizer, HasPatchTypes: patches}
}

// check compiles an expression.
func (c *compiler) check(expression celplugin.ExpressionAccessor, known celplugin.OptionalVariableDeclarations, at *field.Path) field.ErrorList {
	return faults(c.CompileCELExpression(expression, known, c.mode(expression.GetExpression())), at)
}

// faults returns what is wrong with a compiled expression.
func faults(result celplugin.CompilationResult, at *field.Path) field.ErrorList {
	if result.Error == nil {
		return nil
	}
	switch result.Error.Type {
	case cel.ErrorTypeRequired:
		return field.ErrorList{field.Required(at, result.Error.Detail)}
	case cel.ErrorTypeInvalid:
		return field.ErrorList{field.Invalid(at, result.ExpressionAccessor.GetExpression(), result.Error.Detail)}
	}
	return field.ErrorList{field.InternalError(at, result.Error)}
}

// validateConditions checks match conditions.
func validateConditions(c *compiler, conditions []admissionregistrationv1.MatchCondition, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(conditions) > maxConditions {
		errs = append(errs, field.TooMany(at, len(conditions), maxConditions))
	}
	seen := sets.New[string]()
	for i := range conditions {
		condition, at := &conditions[i], at.Index(i)
		if expression := strings.TrimSpace(condition.Expression); expression == "" {
			errs = append(errs, field.Required(at.Child("expression"), ""))
		} else {
			errs = append(errs, c.check(&matchconditions.MatchCondition{Expression: expression}, c.declare(true, false), at.Child("expression"))...)
		}
		if condition.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
			continue
		}
		errs = append(errs, qualified(condition.Name, at.Child("name"))...)
		if seen.Has(condition.Name) {
			errs = append(errs, field.Duplicate(at.Child("name"), condition.Name))
		}
		seen.Insert(condition.Name)
	}
	return errs
}

// qualified checks a name that may have a prefix and is otherwise a label.
func qualified(name string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, message := range utilvalidation.IsQualifiedName(name) {
		errs = append(errs, field.Invalid(at, name, message))
	}
	return errs
}
