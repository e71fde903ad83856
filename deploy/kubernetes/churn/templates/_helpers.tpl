{{/* Name of the release's objects; short enough for the names of jobs that a CronJob starts. */}}
{{- define "churn.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-churn" .Release.Name) (contains "churn" .Release.Name) -}}
{{- $name | trunc 32 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which pods are selected. Takes root and component. */}}
{{- define "churn.selectorLabels" -}}
app.kubernetes.io/name: churn
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes root and component. */}}
{{- define "churn.labels" -}}
{{ include "churn.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Image with digest or tag. Takes root and image. */}}
{{- define "churn.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "churn.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "churn.fullname" .) }}
{{- end -}}

{{/* Address of the service within the cluster. */}}
{{- define "churn.url" -}}
http://{{ include "churn.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end -}}

{{/* Environment variables. Takes root, consumer (service, jobs or smoke-test) and, of a job, its pipelines. Each gets the
     secrets it needs only: the signing key goes to the job that promotes, the key that verifies to those that score.
     USER is who the audit trail of the registry names: the user of the pods has no entry in the image's list of users. */}}
{{- define "churn.env" -}}
{{- $values := .root.Values -}}
{{- $withheld := dict
      "service" (list "CHURN_SERVICE_KEY" "CHURN_STUDY_URL" "CHURN_SERVICE_URL" "CHURN_DATA_ROOT" "CHURN_PUSHGATEWAY"
        "CHURN_SIGNING_KEY" "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN")
      "jobs" (list "CHURN_API_KEYS")
      "smoke-test" (list)
      | dig .consumer (list) -}}
{{- if eq .consumer "jobs" -}}
  {{- if not (has "registry" .pipelines) -}}
    {{- $withheld = append $withheld "CHURN_SIGNING_KEY" -}}
  {{- end -}}
  {{- if or (has "training" .pipelines) (has "evaluation" .pipelines) (has "registry" .pipelines) -}}
    {{- $withheld = append $withheld "CHURN_VERIFY_KEY" -}}
  {{- end -}}
{{- end -}}
{{- $variables := dict
      "HOME" (dict "value" "/tmp")
      "USER" (dict "value" (include "churn.fullname" .root))
      "DO_NOT_TRACK" (dict "value" "1") -}}
{{- if eq .consumer "jobs" -}}
  {{- if $values.persistence.enabled -}}
    {{- $_ := set $variables "CHURN_DATA_ROOT" (dict "value" "/var/lib/churn") -}}
  {{- end -}}
  {{- if $values.service.enabled -}}
    {{- $_ := set $variables "CHURN_SERVICE_URL" (dict "value" (include "churn.url" .root)) -}}
  {{- end -}}
{{- end -}}
{{- $place := $values.place -}}
{{- $references := $values.secretRefs -}}
{{- if ne .consumer "jobs" -}}
  {{- $place = merge (deepCopy $values.service.place) $place -}}
  {{- $references = merge (deepCopy $values.service.secretRefs) $references -}}
{{- end -}}
{{- range $name, $value := $place -}}
  {{- if $value -}}
    {{- $_ := set $variables $name (dict "value" (toString $value)) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $reference := $references -}}
  {{- if $reference -}}
    {{- $_ := set $variables $name (dict "valueFrom" (dict "secretKeyRef" (dict "name" $reference.secret "key" $reference.key))) -}}
  {{- end -}}
{{- end -}}
{{- range $name := keys $variables | sortAlpha -}}
  {{- $for_smoke_test := or (hasPrefix "MLFLOW_" $name) (has $name (list "CHURN_SERVICE_KEY" "DO_NOT_TRACK" "HOME" "USER")) -}}
  {{- if and (not (has $name $withheld)) (or (ne $.consumer "smoke-test") $for_smoke_test) }}
- name: {{ $name }}
  {{- toYaml (get $variables $name) | nindent 2 }}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* What all pods have in common: no API token, no root, and no variables that Kubernetes adds for each Service: those of
     the Service churn are named CHURN_SERVICE_…, as are some of the project. */}}
{{- define "churn.pod" -}}
serviceAccountName: {{ include "churn.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- end -}}

{{- define "churn.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "churn.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: logs
  mountPath: /opt/churn/logs
{{- end -}}

{{- define "churn.volumes" -}}
- name: tmp
  emptyDir: {}
- name: logs
  emptyDir:
    sizeLimit: 128Mi
{{- end -}}
