package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// apiPackage is one version of one API group.
type apiPackage struct {
	importPath string // below apis, for example core/v1alpha1
	group      string // core.kcp.io; empty for a package that is only made of parts
	version    string
	types      map[string]*apiType
	order      []string // names of types as they stand in the sources
}

type apiType struct {
	name   string
	doc    string
	kind   bool // has +genclient
	enum   bool // has +enum
	fields []field
	values []value // of an enumeration
	under  string  // what a type that is no struct is made of
}

type field struct {
	name     string // on the wire
	doc      string
	goType   string // core/v1alpha1.ShardSpec, string, k8s.io/api/core/v1.SecretReference
	list     bool
	mapping  bool
	required bool
	fallback string // the default, as JSON
	inline   bool
}

type value struct{ name, doc string }

// parse reads the package in dir.
func parse(dir string) (*apiPackage, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	dir = filepath.ToSlash(dir)
	pkg := &apiPackage{version: filepath.Base(dir), types: map[string]*apiType{}, importPath: below(dir)}
	fset := token.NewFileSet()
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(filepath.Base(name), "zz_generated") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, marker := range markers(file.Doc) {
			if group, ok := strings.CutPrefix(marker, "groupName="); ok {
				pkg.group = group
			}
		}
		imports := importsOf(file)
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok {
				pkg.add(gen, imports)
			}
		}
	}
	if len(pkg.order) == 0 {
		return nil, fmt.Errorf("no types in %s", dir)
	}
	return pkg, nil
}

// below returns the part of a folder or import path that stands behind apis.
func below(path string) string {
	if i := strings.LastIndex(path, "/apis/"); i >= 0 && strings.Count(path[i+len("/apis/"):], "/") == 1 {
		return path[i+len("/apis/"):]
	}
	parts := strings.Split(path, "/")
	return strings.Join(parts[max(0, len(parts)-2):], "/")
}

func importsOf(file *ast.File) map[string]string {
	imports := map[string]string{}
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value) // the parser accepted it
		name := filepath.Base(path)
		if i.Name != nil {
			name = i.Name.Name
		}
		if strings.Contains(path, "/annex/apis/") {
			path = below(path)
		}
		imports[name] = path
	}
	return imports
}

func (p *apiPackage) add(gen *ast.GenDecl, imports map[string]string) {
	for _, spec := range gen.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.TypeParams == nil {
				p.addType(gen, s, imports)
			}
		case *ast.ValueSpec:
			// Constants of a named type are the values of an enumeration.
			named, ok := s.Type.(*ast.Ident)
			if gen.Tok != token.CONST || !ok || len(s.Values) != 1 {
				continue
			}
			if lit, ok := s.Values[0].(*ast.BasicLit); ok && p.types[named.Name] != nil {
				text, _ := strconv.Unquote(lit.Value)
				t := p.types[named.Name]
				if !t.enum {
					continue
				}
				t.values = append(t.values, value{name: text, doc: afterName(prose(s.Doc))})
			}
		}
	}
}

func (p *apiPackage) addType(gen *ast.GenDecl, s *ast.TypeSpec, imports map[string]string) {
	doc := s.Doc
	if doc == nil {
		doc = gen.Doc
	}
	t := &apiType{name: s.Name.Name, doc: prose(doc)}
	for _, m := range markers(doc) {
		t.kind = t.kind || m == "genclient"
		t.enum = t.enum || m == "enum"
	}
	switch under := s.Type.(type) {
	case *ast.StructType:
		for _, f := range under.Fields.List {
			t.fields = append(t.fields, p.field(f, imports)...)
		}
	case *ast.InterfaceType, *ast.FuncType:
		return
	default:
		var f field
		p.typeOf(s.Type, imports, &f)
		t.under = f.goType
		if f.list {
			t.under = "[]" + f.goType
		}
	}
	p.types[t.name] = t
	p.order = append(p.order, t.name)
}

func (p *apiPackage) field(f *ast.Field, imports map[string]string) []field {
	if f.Tag == nil {
		return nil
	}
	tag, _ := strconv.Unquote(f.Tag.Value)
	name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
	out := field{name: name, doc: prose(f.Doc), inline: strings.Contains(options, "inline")}
	if name == "" && !out.inline {
		return nil
	}
	p.typeOf(f.Type, imports, &out)
	for _, m := range markers(f.Doc) {
		out.required = out.required || m == "required"
		if v, ok := strings.CutPrefix(m, "default="); ok {
			out.fallback = v
		}
	}
	return []field{out}
}

// typeOf fills what f is made of.
func (p *apiPackage) typeOf(expr ast.Expr, imports map[string]string, f *field) {
	switch e := expr.(type) {
	case *ast.StarExpr:
		p.typeOf(e.X, imports, f)
	case *ast.ArrayType:
		if id, ok := e.Elt.(*ast.Ident); ok && id.Name == "byte" {
			f.goType = "base64"
			return
		}
		f.list = true
		p.typeOf(e.Elt, imports, f)
	case *ast.MapType:
		f.mapping = true
		p.typeOf(e.Value, imports, f)
	case *ast.Ident:
		f.goType = e.Name
		if e.IsExported() {
			f.goType = p.importPath + "." + e.Name
		}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			f.goType = imports[x.Name] + "." + e.Sel.Name
		}
	}
}

// prose returns the text of a comment without its markers.
func prose(doc *ast.CommentGroup) string {
	if doc == nil {
		return ""
	}
	var lines []string
	for _, line := range strings.Split(doc.Text(), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "+") {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

func markers(doc *ast.CommentGroup) []string {
	if doc == nil {
		return nil
	}
	var list []string
	for _, line := range strings.Split(doc.Text(), "\n") {
		if m, ok := strings.CutPrefix(strings.TrimSpace(line), "+"); ok {
			list = append(list, m)
		}
	}
	return list
}

// afterName drops the name that a Go comment begins with, and the verb that joins it to the rest where the rest does
// without: the reader of the reference has the name before his eyes.
func afterName(doc string) string {
	_, rest, _ := strings.Cut(doc, " ")
	for _, verb := range []string{"is ", "are ", "means that "} {
		if after, ok := strings.CutPrefix(rest, verb); ok {
			return after
		}
	}
	return rest
}
