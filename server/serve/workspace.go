package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/handlers/negotiation"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// PathHeader asks, with the value "true", for the path of the workspace of each object in a list or watch over many workspaces. Objects then have it
// in the annotation kcp.io/path.
const PathHeader = "Annex-Workspace-Path"

// workspaces says, in the answer to a list or watch over many workspaces, in which workspace each object is. Tables get one more column.
//
// Stock handlers make tables and encode objects, and let nobody take part. So the answer is changed when it is encoded: a list as a whole, a watch
// event by event. Only JSON is changed.
type workspaces struct {
	// show returns what users see of a cluster: its path, or its name. It is called for clusters of objects that the user sees.
	show func(cluster logicalcluster.Name) string
	// table says that the answer is a table, and objects that the rows contain what the client has asked for.
	table, objects bool
	// at is the place of the column, which is known from the first event of a watch.
	at int
}

// column is the column of tables.
var column = metav1.TableColumnDefinition{Name: "Workspace", Type: "string", Description: "Path of the workspace, or the name of its logical cluster if the path is not known."}

// newWorkspaces returns what changes the answer to req, and the request to serve instead; nil if nothing is changed. Errors are API statuses.
func newWorkspaces(req *http.Request, info *genericapirequest.RequestInfo, target Target, codecs runtime.NegotiatedSerializer) (*workspaces, *http.Request, error) {
	asked := false
	if value := req.Header.Get(PathHeader); value != "" {
		var err error
		if asked, err = strconv.ParseBool(value); err != nil {
			return nil, req, apierrors.NewBadRequest(fmt.Sprintf("header %s must be true or false", PathHeader))
		}
	}
	if target.Workspace == nil || !target.All || info.Verb != "list" && info.Verb != "watch" || req.Header.Get("Upgrade") != "" {
		return nil, req, nil
	}
	how, _, err := negotiation.NegotiateOutputMediaType(req, codecs, convertible{})
	if err != nil {
		return nil, req, nil //nolint:nilerr // the stock handler refuses it
	}
	w := &workspaces{show: target.Workspace, table: how.Convert != nil && how.Convert.Kind == "Table", objects: true, at: 1}
	switch {
	case how.Accepted.MediaType != runtime.ContentTypeJSON && asked:
		return nil, req, apierrors.NewBadRequest(fmt.Sprintf("header %s is for answers in JSON only", PathHeader))
	case how.Accepted.MediaType != runtime.ContentTypeJSON || !w.table && !asked:
		return nil, req, nil
	}
	changed := req.Clone(req.Context())
	changed.Header.Del("Accept-Encoding")
	if query := req.URL.Query(); w.table && metav1.IncludeObjectPolicy(query.Get("includeObject")) == metav1.IncludeNone {
		w.objects = false
		changed.URL = withQuery(req.URL, query, "includeObject", string(metav1.IncludeMetadata))
	}
	return w, changed, nil
}

func withQuery(u *url.URL, query url.Values, key, value string) *url.URL {
	changed := *u
	query.Set(key, value)
	changed.RawQuery = query.Encode()
	return &changed
}

// list calls serve with a writer whose content is sent to w, changed, when serve returns.
func (s *workspaces) list(w http.ResponseWriter, serve func(http.ResponseWriter)) {
	held := &held{ResponseWriter: w, code: http.StatusOK}
	serve(responsewriter.WrapForHTTP1Or2(held))
	body := held.body.Bytes()
	if held.code == http.StatusOK && isJSON(w.Header()) {
		if changed, err := s.answer(body); err == nil {
			body = changed
			w.Header().Del("Content-Length")
		}
	}
	w.WriteHeader(held.code)
	_, _ = w.Write(body) // the client has left
}

// watch returns a writer that changes the events that are written to it.
func (s *workspaces) watch(w http.ResponseWriter) http.ResponseWriter {
	return responsewriter.WrapForHTTP1Or2(&lines{ResponseWriter: w, workspaces: s})
}

func isJSON(header http.Header) bool {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && mediaType == runtime.ContentTypeJSON
}

// held is a response that is kept until it is complete.
type held struct {
	http.ResponseWriter
	code int
	body bytes.Buffer
}

var _ responsewriter.UserProvidedDecorator = &held{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *held) WriteHeader(code int) { h.code = code }

// Write implements http.ResponseWriter.
func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// Flush implements http.Flusher. Nothing is sent before the end.
func (h *held) Flush() {}

// lines is the response to a watch, which has an event in each line.
type lines struct {
	http.ResponseWriter
	workspaces *workspaces
	plain      bool
	begun      []byte
}

var _ responsewriter.UserProvidedDecorator = &lines{}

// Unwrap implements responsewriter.UserProvidedDecorator.
func (l *lines) Unwrap() http.ResponseWriter { return l.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (l *lines) WriteHeader(code int) {
	l.plain = code != http.StatusOK || !isJSON(l.Header())
	l.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (l *lines) Write(p []byte) (int, error) {
	if l.plain {
		return l.ResponseWriter.Write(p)
	}
	l.begun = append(l.begun, p...)
	for {
		end := bytes.IndexByte(l.begun, '\n')
		if end < 0 {
			return len(p), nil
		}
		line := l.begun[:end+1]
		if changed, err := l.workspaces.event(line); err == nil {
			line = append(changed, '\n')
		}
		l.begun = l.begun[end+1:]
		if _, err := l.ResponseWriter.Write(line); err != nil {
			return 0, err
		}
	}
}

// Flush implements http.Flusher.
func (l *lines) Flush() {
	if flusher, ok := l.ResponseWriter.(http.Flusher); ok {
		flusher.Flush()
	}
}

// fields is a JSON object whose fields are not decoded.
type fields map[string]json.RawMessage

// event returns an event of a watch with its object changed.
func (s *workspaces) event(raw []byte) ([]byte, error) {
	var event fields
	if err := json.Unmarshal(raw, &event); err != nil {
		return nil, err
	}
	object, err := s.object(event["object"])
	if err != nil {
		return nil, err
	}
	event["object"] = object
	return json.Marshal(event)
}

// answer returns a list changed.
func (s *workspaces) answer(raw []byte) ([]byte, error) {
	if s.table {
		return s.object(raw)
	}
	var list fields
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(list["items"], &items); err != nil {
		return nil, err
	}
	for i := range items {
		var err error
		if items[i], err = s.object(items[i]); err != nil {
			return nil, err
		}
	}
	var err error
	if list["items"], err = json.Marshal(items); err != nil {
		return nil, err
	}
	return json.Marshal(list)
}

// object returns a table with the column, or an object with the annotation.
func (s *workspaces) object(raw []byte) ([]byte, error) {
	var object fields
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, err
	}
	if !s.table {
		return s.annotated(object)
	}
	var kind string
	if err := json.Unmarshal(object["kind"], &kind); err != nil || kind != "Table" {
		return raw, err
	}
	var columns []metav1.TableColumnDefinition
	if err := decode(object["columnDefinitions"], &columns); err != nil {
		return nil, err
	}
	if len(columns) > 0 {
		s.at = place(columns)
		columns = append(columns[:s.at:s.at], append([]metav1.TableColumnDefinition{column}, columns[s.at:]...)...)
	}
	var rows []fields
	if err := decode(object["rows"], &rows); err != nil {
		return nil, err
	}
	shown := map[logicalcluster.Name]string{}
	for _, row := range rows {
		if err := s.row(row, shown); err != nil {
			return nil, err
		}
	}
	var err error
	if object["columnDefinitions"], err = json.Marshal(columns); err != nil {
		return nil, err
	}
	if object["rows"], err = json.Marshal(rows); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

func decode(raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// place returns where the column comes: after the name, which clients expect first.
func place(columns []metav1.TableColumnDefinition) int {
	for i := range columns {
		if columns[i].Format == "name" {
			return i + 1
		}
	}
	return len(columns)
}

// row adds the cell to a row.
func (s *workspaces) row(row fields, shown map[logicalcluster.Name]string) error {
	cluster, err := clusterOf(row["object"])
	if err != nil {
		return err
	}
	text, known := shown[cluster]
	if !known && !cluster.Empty() {
		text = s.show(cluster)
		shown[cluster] = text
	}
	cell, err := json.Marshal(text)
	if err != nil {
		return err
	}
	var cells []json.RawMessage
	if err := decode(row["cells"], &cells); err != nil {
		return err
	}
	at := min(s.at, len(cells))
	cells = append(cells[:at:at], append([]json.RawMessage{cell}, cells[at:]...)...)
	if row["cells"], err = json.Marshal(cells); err != nil {
		return err
	}
	if !s.objects {
		row["object"] = json.RawMessage("null")
	}
	return nil
}

// clusterOf returns the cluster of an encoded object; empty if it says none.
func clusterOf(raw json.RawMessage) (logicalcluster.Name, error) {
	var object metav1.PartialObjectMetadata
	if err := decode(raw, &object); err != nil {
		return "", err
	}
	return logicalcluster.From(&object), nil
}

// annotated returns object with the annotation, encoded.
func (s *workspaces) annotated(object fields) ([]byte, error) {
	var metadata fields
	if err := decode(object["metadata"], &metadata); err != nil {
		return nil, err
	}
	var annotations map[string]string
	if err := decode(metadata["annotations"], &annotations); err != nil {
		return nil, err
	}
	if cluster := logicalcluster.Name(annotations[logicalcluster.AnnotationKey]); !cluster.Empty() {
		if path := s.show(cluster); path != cluster.String() {
			annotations[logicalcluster.PathAnnotationKey] = path
		}
		var err error
		if metadata["annotations"], err = json.Marshal(annotations); err != nil {
			return nil, err
		}
		if object["metadata"], err = json.Marshal(metadata); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}
