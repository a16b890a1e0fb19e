package elsewhere

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource/tableconvertor"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/server/virtual/forward"
)

// maxTableBytes is how large an answer, or an event of a watch, may be of which a table is made. kubectl asks for 500 objects at a time.
const maxTableBytes = 4 << 20

// columns makes tables of what another server answers, as the schema describes them. That server need not know tables.
type columns struct {
	convertor rest.TableConvertor
	include   metav1.IncludeObjectPolicy
	watch     bool
}

// newColumns returns what makes the table that a request asks for; nil if it asks for none.
func newColumns(req *http.Request, info *genericapirequest.RequestInfo, version *apiextensionsv1.CustomResourceDefinitionVersion, codecs runtime.NegotiatedSerializer) *columns {
	if info.Subresource != "" || info.Verb != "get" && info.Verb != "list" && info.Verb != "watch" || req.Header.Get("Upgrade") != "" {
		return nil
	}
	how, _, err := negotiation.NegotiateOutputMediaType(req, codecs, tables{})
	if err != nil || how.Convert == nil || how.Accepted.MediaType != runtime.ContentTypeJSON {
		return nil
	}
	shown := version.AdditionalPrinterColumns
	if len(shown) == 0 {
		shown = []apiextensionsv1.CustomResourceColumnDefinition{{
			Name: "Age", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"], JSONPath: ".metadata.creationTimestamp",
		}}
	}
	convertor, _ := tableconvertor.New(shown) // without the columns that it cannot read, as the stock handler does
	include := metav1.IncludeObjectPolicy(req.URL.Query().Get("includeObject"))
	return &columns{convertor: convertor, include: include, watch: info.Verb == "watch"}
}

// request returns the request to send instead.
func (c *columns) request(req *http.Request) *http.Request {
	changed := req.Clone(req.Context())
	changed.Header.Set("Accept", runtime.ContentTypeJSON)
	changed.Header.Del("Accept-Encoding")
	return changed
}

// show makes a table of an answer.
func (c *columns) show(answer *http.Response) error {
	mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if answer.StatusCode != http.StatusOK || err != nil || mediaType != runtime.ContentTypeJSON {
		return nil
	}
	answer.Header.Del("Content-Length")
	answer.Header.Del("Etag") // it is that of another answer
	answer.ContentLength = -1
	if c.watch {
		answer.Body = newEvents(c, answer.Body)
		return nil
	}
	body := answer.Body
	defer func() { _ = body.Close() }()
	data, err := io.ReadAll(io.LimitReader(body, maxTableBytes+1))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if len(data) > maxTableBytes {
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the answer is larger than %d bytes, of which no table is made; set a limit", maxTableBytes))
	}
	table, err := c.table(data, false)
	if err != nil {
		return err
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(table)), int64(len(table))
	answer.Header.Set("Content-Length", strconv.Itoa(len(table)))
	return nil
}

// errNoObject says that another server answers with something else than an object or a list.
const errNoObject = forward.Refusal("answers with something that is no object")

// table returns the table of an encoded object or list, encoded, with the names of the columns unless they are known. What is a Status stays.
func (c *columns) table(data []byte, known bool) ([]byte, error) {
	var content map[string]any
	if err := utiljson.Unmarshal(data, &content); err != nil || content == nil {
		return nil, errNoObject
	}
	one := &unstructured.Unstructured{Object: content}
	if one.GetKind() == "Status" {
		return data, nil
	}
	var obj runtime.Object = one
	if one.IsList() {
		list, err := one.ToList()
		if err != nil {
			return nil, errNoObject
		}
		obj = list
	}
	table, err := c.convertor.ConvertToTable(context.Background(), obj, &metav1.TableOptions{NoHeaders: known})
	if err != nil {
		return nil, fmt.Errorf("making the table: %w", err)
	}
	table.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("Table"))
	for i := range table.Rows {
		if err := c.included(&table.Rows[i].Object); err != nil {
			return nil, err
		}
	}
	return json.Marshal(table)
}

// included leaves of the object of a row what the client wants.
func (c *columns) included(of *runtime.RawExtension) error {
	switch c.include {
	case metav1.IncludeObject:
	case metav1.IncludeNone:
		of.Object = nil
	default:
		m, err := meta.Accessor(of.Object)
		if err != nil {
			return errNoObject
		}
		partial := meta.AsPartialObjectMetadata(m)
		partial.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata"))
		of.Object = partial
	}
	return nil
}

// events is the body of a watch whose objects become tables.
type events struct {
	columns *columns
	from    io.ReadCloser
	left    io.LimitedReader
	decoder *json.Decoder
	made    bytes.Buffer
	known   bool // the client has the names of the columns
}

func newEvents(c *columns, from io.ReadCloser) *events {
	e := &events{columns: c, from: from, left: io.LimitedReader{R: from}}
	e.decoder = json.NewDecoder(&e.left)
	return e
}

// Read implements io.Reader.
func (e *events) Read(p []byte) (int, error) {
	if e.made.Len() == 0 {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		e.left.N = maxTableBytes // for what comes before the end of the event
		if err := e.decoder.Decode(&event); err != nil {
			return 0, err
		}
		var err error
		if event.Object, err = e.columns.table(event.Object, e.known); err != nil {
			return 0, err
		}
		e.known = true
		if err := json.NewEncoder(&e.made).Encode(event); err != nil {
			return 0, err
		}
	}
	return e.made.Read(p)
}

// Close implements io.Closer.
func (e *events) Close() error { return e.from.Close() }

// tables allows tables in the negotiation of an answer.
type tables struct {
	negotiation.EndpointRestrictions
}

// AllowsMediaTypeTransform implements negotiation.EndpointRestrictions.
func (tables) AllowsMediaTypeTransform(_, _ string, kind *schema.GroupVersionKind) bool {
	return kind == nil || kind.Kind == "Table" && kind.Group == metav1.GroupName && kind.Version == "v1"
}

// AllowsServerVersion implements negotiation.EndpointRestrictions.
func (tables) AllowsServerVersion(string) bool { return false }

// AllowsStreamSchema implements negotiation.EndpointRestrictions.
func (tables) AllowsStreamSchema(s string) bool { return s == "watch" }
