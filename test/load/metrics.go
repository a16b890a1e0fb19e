package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// maxMetricLine is far above what a series with many labels needs.
const maxMetricLine = 1 << 20

// metrics is what one scrape shows.
type metrics struct {
	series int
	// values holds the series without labels, by name.
	values map[string]float64
}

// value returns the value of a series without labels.
func (m metrics) value(name string) (float64, bool) {
	v, ok := m.values[name]
	return v, ok
}

// scrape reads /metrics of the server.
func scrape(ctx context.Context, c *rest.Config) (metrics, error) {
	conn, err := crowd.Connect(c)
	if err != nil {
		return metrics{}, err
	}
	defer conn.Close()
	var m metrics
	if err := fetch(ctx, conn, c.Host+"/metrics", "", func(r io.Reader) (err error) {
		m, err = parseMetrics(r)
		return err
	}); err != nil {
		return metrics{}, fmt.Errorf("reading metrics: %w", err)
	}
	return m, nil
}

// parseMetrics reads the Prometheus text format, as far as needed here: each
// line that is neither empty nor a comment is a series.
func parseMetrics(r io.Reader) (metrics, error) {
	m := metrics{values: map[string]float64{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxMetricLine)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m.series++
		if strings.Contains(line, "{") {
			continue
		}
		// A timestamp may follow the value.
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return metrics{}, fmt.Errorf("unexpected line %q", line)
		}
		value, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return metrics{}, fmt.Errorf("unexpected line %q: %w", line, err)
		}
		m.values[fields[0]] = value
	}
	if err := lines.Err(); err != nil {
		return metrics{}, fmt.Errorf("reading lines: %w", err)
	}
	return m, nil
}
