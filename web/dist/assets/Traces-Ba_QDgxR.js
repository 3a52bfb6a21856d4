import{a as e,f as o}from"./index-Dus-VsaJ.js";var s=o('<p class="muted">This view comes with the next commits.</p>');function r(t){var a=s();e(t,a)}export{r as default};
