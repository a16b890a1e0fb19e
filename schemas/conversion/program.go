package conversion

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/util/version"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
)

const (
	// self is the variable that an expression is about.
	self     = "self"
	selfType = "selfType"
)

// program is a transformation.
type program struct {
	cel.Program
	of    structuralschema.Structural // of self
	typed bool                        // the type of self is known
}

// compiler compiles transformations. Those of one field share what they are compiled in.
type compiler struct {
	environments map[string]*cel.Env // by version and path
}

// compile compiles an expression about the field at path in a version, which has the schema of.
func (c *compiler) compile(expression, version string, path Path, of, to *structuralschema.Structural) (*program, error) {
	declared := model.SchemaDeclType(of, of.XEmbeddedResource)
	key := version + path.String()
	env, ok := c.environments[key]
	if !ok {
		var err error
		if env, err = environmentOf(declared); err != nil {
			return nil, err
		}
		c.environments[key] = env
	}
	ast, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		return nil, fmt.Errorf("compilation failed: %s", issues.String())
	}
	if err := fits(ast.OutputType(), to); err != nil {
		return nil, err
	}
	compiled, err := env.Program(ast,
		cel.CostLimit(maxCost),
		cel.CostTracking(&library.CostEstimator{}),
		cel.InterruptCheckFrequency(celconfig.CheckFrequency),
	)
	if err != nil {
		return nil, fmt.Errorf("compilation failed: %w", err)
	}
	return &program{Program: compiled, of: *of, typed: declared != nil}, nil
}

func environmentOf(declared *apiservercel.DeclType) (*cel.Env, error) {
	// Old enough for every release: what an expression may say is limited by the environment that is extended.
	options := environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0)}
	if declared == nil {
		options.EnvOptions = []cel.EnvOption{cel.Variable(self, cel.DynType)}
	} else {
		scoped := declared.MaybeAssignTypeName(selfType)
		options.EnvOptions, options.DeclTypes = []cel.EnvOption{cel.Variable(self, scoped.CelType())}, []*apiservercel.DeclType{scoped}
	}
	set, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Extend(options)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL for the field: %w", err)
	}
	return set.StoredExpressionsEnv(), nil
}

// fits returns an error if a value of type got is never one that schema describes. It does not look into lists and maps.
func fits(got *cel.Type, schema *structuralschema.Structural) error {
	if got.Kind() == types.OpaqueKind && got.TypeName() == "optional_type" && len(got.Parameters()) == 1 {
		got = got.Parameters()[0]
	}
	wanted := schema.Type
	if schema.XIntOrString {
		wanted = "integer or string"
	}
	var may []string
	switch got.Kind() {
	case types.DynKind, types.AnyKind, types.NullTypeKind, types.TypeParamKind:
		return nil
	case types.BoolKind:
		may = []string{"boolean"}
	case types.IntKind, types.UintKind:
		may = []string{"integer", "number", "integer or string"}
	case types.DoubleKind:
		may = []string{"number"}
	case types.StringKind, types.BytesKind, types.DurationKind, types.TimestampKind:
		may = []string{"string", "integer or string"}
	case types.ListKind:
		may = []string{"array"}
	case types.MapKind, types.StructKind:
		may = []string{"object"}
	}
	for _, kind := range may {
		if wanted == "" || wanted == kind {
			return nil
		}
	}
	return fmt.Errorf("the expression returns %s, and the destination is of type %s", strings.ReplaceAll(got.String(), selfType, "object"), wanted)
}

// run returns what the expression returns for value.
func (p *program) run(ctx context.Context, value any, spent *object) (ref.Val, error) {
	var variable ref.Val
	if p.typed {
		variable = schemacel.UnstructuredToVal(value, &p.of)
	} else {
		variable = types.DefaultTypeAdapter.NativeToValue(value)
	}
	if err, ok := variable.(*types.Err); ok {
		return nil, err
	}
	result, details, err := p.ContextEval(ctx, map[string]any{self: variable})
	if details != nil && details.ActualCost() != nil {
		if err := spent.evaluated(int64(min(*details.ActualCost(), 2*maxCost))); err != nil {
			return nil, err
		}
	}
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		return nil, errors.New("the transformations of one object took too long")
	case strings.Contains(err.Error(), "cost limit exceeded"):
		return nil, tooCostly()
	}
	return nil, err
}
